-- Take a role and limits: with is_local for this transaction, because behind a pooler a session-wide setting would leak
-- to other clients; else for the whole session.
SELECT
    set_config('default_transaction_isolation', 'read committed', %(is_local)b::boolean),
    set_config('role', %(role)b::text, %(is_local)b::boolean),
    set_config('statement_timeout', %(statement_timeout)b::text, %(is_local)b::boolean),
    set_config('lock_timeout', %(lock_timeout)b::text, %(is_local)b::boolean),
    set_config('idle_in_transaction_session_timeout', %(idle_timeout)b::text, %(is_local)b::boolean),
    set_config('synchronous_commit', %(synchronous_commit)b::text, %(is_local)b::boolean);
