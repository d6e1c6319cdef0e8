-- Take a role and limits: with is_local for this transaction, because behind a pooler a session-wide setting would leak
-- to other clients; else for the whole session.
SELECT
    set_config('default_transaction_isolation', 'read committed', %(is_local)b::boolean),
    set_config('role', %(role)b::text, %(is_local)b::boolean),
    set_config('statement_timeout', %(statement_timeout)b::text, %(is_local)b::boolean),
    set_config('lock_timeout', %(lock_timeout)b::text, %(is_local)b::boolean),
    set_config('idle_in_transaction_session_timeout', %(idle_timeout)b::text, %(is_local)b::boolean),
    -- A server, database or role may have a weaker default, and off is not the only one: local and remote_write are not
    -- flushed by a standby. Only remote_apply is stronger than on.
    set_config(
        'synchronous_commit',
        CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END,
        %(is_local)b::boolean
    ),
    -- A cancelled wait for a standby is told by a warning and nothing else.
    set_config('client_min_messages', 'warning', %(is_local)b::boolean);
