-- The tables of this database that are neither ours nor the server's, each with the names of its columns.
SELECT
    c.oid::bigint AS oid,
    n.nspname || '.' || c.relname AS name,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS sql_name,
    quote_ident(n.nspname) AS sql_schema,
    c.relrowsecurity AS has_row_security,
    ARRAY(
        SELECT a.attname::text
        FROM pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY a.attnum
    ) AS column_names
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE
    c.relkind IN ('r', 'p')
    AND NOT c.relispartition
    AND n.nspname NOT IN ('consumer', 'consumer_masked', 'identity', 'information_schema')
    AND left(n.nspname, 3) <> 'pg_'
ORDER BY n.nspname, c.relname;
