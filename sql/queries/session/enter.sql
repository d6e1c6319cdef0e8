-- Give this transaction its role and its limits. Local settings only: behind a pooler anything else reaches strangers.
SELECT
    set_config('role', %(role)b::text, TRUE),
    set_config('statement_timeout', %(statement_timeout)b::text, TRUE),
    set_config('lock_timeout', %(lock_timeout)b::text, TRUE),
    set_config('idle_in_transaction_session_timeout', %(idle_timeout)b::text, TRUE),
    set_config('synchronous_commit', %(synchronous_commit)b::text, TRUE);
