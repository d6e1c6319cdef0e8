-- Take a role, limits, and the settings that our SQL is written for, whatever the server, the database or the login has
-- set: with is_local for this transaction, because behind a pooler a session-wide setting would leak to other clients;
-- else for the whole session. Without a role the login stays what it is.
-- Every name is qualified, because the search path may hold functions of the same names.
SELECT
    pg_catalog.set_config(
        'role', coalesce(%(role)b::text, pg_catalog.current_setting('role')), %(is_local)b::boolean
    ),
    -- PostgreSQL's own functions come first, as they do by default. The rest stays, for the application's triggers.
    pg_catalog.set_config(
        'search_path',
        pg_catalog.rtrim(pg_catalog.concat('pg_catalog, ', pg_catalog.current_setting('search_path')), ', '),
        %(is_local)b::boolean
    ),
    pg_catalog.set_config('default_transaction_isolation', 'read committed', %(is_local)b::boolean),
    CASE
        WHEN %(is_writable)b::boolean
            THEN pg_catalog.set_config('default_transaction_read_only', 'off', %(is_local)b::boolean)
    END,
    -- Of this transaction, and of those that follow in a session.
    CASE
        WHEN %(is_read_only)b::boolean
            THEN pg_catalog.set_config('transaction_read_only', 'on', %(is_local)b::boolean)
    END,
    CASE
        WHEN %(is_read_only)b::boolean
            THEN pg_catalog.set_config('default_transaction_read_only', 'on', %(is_local)b::boolean)
    END,
    pg_catalog.set_config('statement_timeout', %(statement_timeout)b::text, %(is_local)b::boolean),
    pg_catalog.set_config('lock_timeout', %(lock_timeout)b::text, %(is_local)b::boolean),
    pg_catalog.set_config('idle_in_transaction_session_timeout', %(idle_timeout)b::text, %(is_local)b::boolean),
    pg_catalog.set_config('idle_session_timeout', '0', %(is_local)b::boolean),
    -- Since PostgreSQL 17.
    CASE
        WHEN pg_catalog.current_setting('transaction_timeout', TRUE) IS NOT NULL
            THEN pg_catalog.set_config('transaction_timeout', '0', %(is_local)b::boolean)
    END,
    -- A server, database or role may have a weaker default, and off is not the only one: local and remote_write are not
    -- flushed by a standby. Only remote_apply is stronger than on.
    pg_catalog.set_config(
        'synchronous_commit',
        CASE pg_catalog.current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END,
        %(is_local)b::boolean
    ),
    -- A cancelled wait for a standby is told by a warning and nothing else.
    pg_catalog.set_config('client_min_messages', 'warning', %(is_local)b::boolean),
    -- Off: a query of rows that a policy could hide fails instead.
    pg_catalog.set_config('row_security', 'on', %(is_local)b::boolean),
    -- Not in the first releases of PostgreSQL 15. It can forbid views.
    CASE
        WHEN pg_catalog.current_setting('restrict_nonsystem_relation_kind', TRUE) IS NOT NULL
            THEN pg_catalog.set_config('restrict_nonsystem_relation_kind', '', %(is_local)b::boolean)
    END,
    -- An array of nulls alone goes as text.
    pg_catalog.set_config('array_nulls', 'on', %(is_local)b::boolean),
    pg_catalog.set_config('standard_conforming_strings', 'on', %(is_local)b::boolean),
    -- reached_code/untrusted looks for names in the text of expressions.
    pg_catalog.set_config('quote_all_identifiers', 'off', %(is_local)b::boolean),
    -- A batch goes on after an error in a savepoint.
    pg_catalog.set_config('exit_on_error', 'off', %(is_local)b::boolean),
    -- Bodies are parameters: an error would put them into the server's log.
    pg_catalog.set_config('log_parameter_max_length_on_error', '0', %(is_local)b::boolean),
    -- A receiver prepares its queries, whose plans depend on no value; compiling a plan takes longer than running it.
    pg_catalog.set_config('plan_cache_mode', 'auto', %(is_local)b::boolean),
    pg_catalog.set_config('jit', 'off', %(is_local)b::boolean);
