-- Wait until no running batch depends on the recorded settings, and let none begin until this transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('consumer.settings', 0));
