-- The largest of our tables: bytes with indexes and TOAST, and about how many rows, as vacuum last counted them.
SELECT
    n.nspname || '.' || c.relname AS name,
    pg_total_relation_size(c.oid) AS bytes,
    c.reltuples::bigint AS rows
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE n.nspname IN ('consumer', 'identity') AND c.relkind = 'r'
ORDER BY bytes DESC, name ASC
LIMIT %(size)b::integer;
