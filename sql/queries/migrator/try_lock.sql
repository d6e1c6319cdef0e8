-- Take the lock of all migrators until the transaction ends; false if another session holds it.
SELECT pg_try_advisory_xact_lock(%(key)b::bigint) AS is_taken;
