-- The server, the database, and what this login may do there. Older servers than we need understand it too.
SELECT
    current_setting('server_version') AS version,
    current_setting('server_version_num')::integer AS version_number,
    pg_encoding_to_char(d.encoding)::text AS encoding,
    pg_is_in_recovery() AS is_standby,
    d.datname::text AS database,
    quote_ident(d.datname) AS quoted_database,
    l.rolname::text AS login,
    quote_ident(l.rolname) AS quoted_login,
    has_database_privilege(d.oid, 'CREATE') AS may_create_schemas,
    l.rolsuper OR l.rolcreaterole AS may_create_roles,
    n.oid IS NOT NULL AND c.oid IS NOT NULL AS has_ledger,
    coalesce(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'), FALSE) AS may_read_ledger,
    -- The search_path of a session that sets none.
    (
        SELECT s.reset_val
        FROM pg_settings AS s
        WHERE s.name = 'search_path'
    ) AS search_path,
    ARRAY(
        SELECT v.name
        FROM (VALUES ('plpgsql'), ('sql')) AS v (name)
        LEFT JOIN pg_language AS g ON v.name = g.lanname
        WHERE g.oid IS NULL OR NOT has_language_privilege(g.oid, 'USAGE')
        ORDER BY v.name
    ) AS languages_lacking
FROM pg_database AS d
INNER JOIN pg_roles AS l ON l.rolname = current_user
LEFT JOIN pg_namespace AS n ON n.nspname = 'consumer'
LEFT JOIN pg_class AS c ON n.oid = c.relnamespace AND c.relname = '_yoyo_migration'
WHERE d.datname = current_database();
