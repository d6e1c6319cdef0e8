-- Fail if the session that holds a job's lock is gone, and give its snapshot back.
SELECT pg_backend_pid() AS pid;
