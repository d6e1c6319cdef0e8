-- Set what the server, the database or the role may have set to something that a migration can't work with.
-- By pg_settings, because a server knows only the settings of its version.
SELECT set_config(s.name, v.value, %(is_local)b::boolean)
FROM (
    VALUES
    ('default_transaction_read_only', 'off'),
    ('default_transaction_isolation', 'read committed'),
    ('default_transaction_deferrable', 'off'),
    ('statement_timeout', '0'),
    ('lock_timeout', '0'),
    ('transaction_timeout', '0'),
    ('idle_in_transaction_session_timeout', '0'),
    ('idle_session_timeout', '0'),
    ('synchronous_commit', 'on'),
    ('row_security', 'on'),
    ('check_function_bodies', 'on'),
    ('standard_conforming_strings', 'on'),
    ('transform_null_equals', 'off'),
    ('array_nulls', 'on'),
    ('quote_all_identifiers', 'off'),
    ('restrict_nonsystem_relation_kind', ''),
    ('default_table_access_method', 'heap'),
    ('default_tablespace', ''),
    -- A role that makes another is granted it by a statement of its own.
    ('createrole_self_grant', ''),
    ('exit_on_error', 'off'),
    ('plan_cache_mode', 'auto'),
    ('jit', 'off'),
    ('datestyle', 'ISO'),
    ('intervalstyle', 'postgres')
) AS v (name, value)
INNER JOIN pg_settings AS s ON v.name = lower(s.name);
