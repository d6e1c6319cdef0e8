-- Wait for a lock, and let a statement run, no longer than this; '0' is without end. is_local: until the transaction
-- ends, else for the session.
SELECT
    set_config('lock_timeout', %(lock_timeout)b::text, %(is_local)b::boolean),
    set_config('statement_timeout', %(statement_timeout)b::text, %(is_local)b::boolean);
