-- Take a role and limits: for this transaction where is_local says so, for behind a pooler anything else reaches
-- strangers; else for the whole session.
SELECT
    set_config('default_transaction_isolation', 'read committed', %(is_local)b::boolean),
    set_config('role', %(role)b::text, %(is_local)b::boolean),
    set_config('statement_timeout', %(statement_timeout)b::text, %(is_local)b::boolean),
    set_config('lock_timeout', %(lock_timeout)b::text, %(is_local)b::boolean),
    set_config('idle_in_transaction_session_timeout', %(idle_timeout)b::text, %(is_local)b::boolean),
    set_config('synchronous_commit', %(synchronous_commit)b::text, %(is_local)b::boolean);
