-- Let no idle session be ended, unless a pooler answered the connect, by another process: it lends sessions to others.
SELECT pg_catalog.set_config('idle_session_timeout', '0', FALSE)
WHERE pg_catalog.pg_backend_pid() = %(pid)b::integer;
