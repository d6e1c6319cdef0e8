-- Take a job's lock until the transaction ends; false if another session holds it.
SELECT pg_try_advisory_xact_lock(hashtext('consumer.maintenance'), hashtext(%(job)b::text)) AS is_taken;
