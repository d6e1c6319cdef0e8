-- What consumer_masked.statements needs: that the server loads pg_stat_statements, the extension with its columns since
-- 1.8, and the rights of the role that reads it.
SELECT
    current_setting('pg_stat_statements.max', TRUE) IS NOT NULL AS is_loaded,
    e.oid IS NOT NULL AS is_installed,
    exists(
        SELECT FROM pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attname = 'total_exec_time' AND NOT a.attisdropped
    ) AS is_current,
    coalesce(has_schema_privilege(f.proowner, e.extnamespace, 'USAGE'), FALSE) AS may_enter_schema,
    coalesce(has_table_privilege(f.proowner, c.oid, 'SELECT'), FALSE)
    AND NOT EXISTS (
        SELECT FROM pg_proc AS p
        WHERE
            p.pronamespace = e.extnamespace AND p.proname = 'pg_stat_statements'
            AND NOT has_function_privilege(f.proowner, p.oid, 'EXECUTE')
    ) AS may_select,
    pg_has_role(f.proowner, 'pg_read_all_stats', 'USAGE') AS may_read,
    f.proowner::regrole::text AS reader,
    e.extnamespace::regnamespace::text AS schema,
    current_setting('server_version_num')::integer AS server_version
FROM pg_proc AS f
LEFT JOIN pg_extension AS e ON e.extname = 'pg_stat_statements'
LEFT JOIN pg_class AS c ON e.extnamespace = c.relnamespace AND c.relname = 'pg_stat_statements'
WHERE f.oid = 'consumer_masked.statements()'::regprocedure;
