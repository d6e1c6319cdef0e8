-- The application's objects whose names stand in a message; PostgreSQL's refusals name objects without their schemas.
SELECT
    o.kind,
    o.name::text,
    quote_ident(n.nspname) || '.' || quote_ident(o.name) AS sql_name
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
    strpos(%(message)b::text, o.name::text) > 0
    AND n.nspname NOT IN ('consumer', 'consumer_masked', 'identity', 'information_schema')
    AND left(n.nspname, 3) <> 'pg_'
UNION
SELECT
    'schema' AS kind,
    nspname::text AS name,
    quote_ident(nspname) AS sql_name
FROM pg_namespace
WHERE strpos(%(message)b::text, nspname::text) > 0
ORDER BY sql_name, kind;
