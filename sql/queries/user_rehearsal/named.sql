-- The application's objects of a kind with a name that PostgreSQL's refusals give without the schema.
SELECT quote_ident(n.nspname) || '.' || quote_ident(o.name) AS name
FROM (
    SELECT
        'relation' AS kind,
        relname AS name,
        relnamespace AS namespace
    FROM pg_class
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
    UNION ALL
    SELECT
        'sequence' AS kind,
        relname AS name,
        relnamespace AS namespace
    FROM pg_class
    WHERE relkind = 'S'
    UNION ALL
    SELECT
        'function' AS kind,
        proname AS name,
        pronamespace AS namespace
    FROM pg_proc
) AS o
INNER JOIN pg_namespace AS n ON o.namespace = n.oid
WHERE
    o.kind = %(kind)b::text
    AND o.name = %(name)b::text
    AND n.nspname NOT IN ('consumer', 'identity', 'information_schema')
    AND left(n.nspname, 3) <> 'pg_'
UNION
SELECT quote_ident(nspname) AS name
FROM pg_namespace
WHERE %(kind)b::text = 'schema' AND nspname = %(name)b::text
ORDER BY name;
