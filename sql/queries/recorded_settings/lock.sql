-- Wait until no running batch depends on the recorded settings, and let none begin until this transaction ends.
SELECT consumer.pause_work();
