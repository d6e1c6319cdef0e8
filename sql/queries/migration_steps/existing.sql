-- Those of these tables that exist, in the order given, as schema and name.
SELECT
    n.nspname,
    c.relname
FROM unnest(%(tables)b::text[]) WITH ORDINALITY AS t (name, place)
INNER JOIN pg_class AS c ON c.oid = to_regclass(t.name)
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
ORDER BY t.place;
