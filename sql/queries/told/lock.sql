-- Let one process at a time decide what is told, until this transaction ends.
SELECT pg_advisory_xact_lock(hashtext('consumer.told'));
