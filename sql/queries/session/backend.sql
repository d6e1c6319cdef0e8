-- The process that serves this connection: another than the one that answered the connect, where a pooler is in between.
SELECT pg_backend_pid() AS pid;
