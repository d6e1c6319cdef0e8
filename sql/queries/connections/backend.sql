-- The server process behind this connection. With a pooler in between, another process answered the connect.
SELECT pg_backend_pid() AS pid;
