-- The process that serves this connection: not the one that answered the connect where a pooler is in between.
SELECT pg_backend_pid() AS pid;
