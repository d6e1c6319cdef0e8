-- Fail if the session that holds the lock is gone.
SELECT pg_backend_pid() AS pid;
