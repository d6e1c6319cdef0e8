-- Keep the recorded settings as they are until this transaction ends; many may do so at once.
SELECT pg_advisory_xact_lock_shared(hashtextextended('consumer.settings', 0));
