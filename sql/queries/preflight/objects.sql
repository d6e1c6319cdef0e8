-- Every object of these schemas, by the kind and name that PostgreSQL writes.
SELECT
    i.type AS kind,
    -- A function's name without its arguments.
    split_part(i.identity, '(', 1) AS name
FROM pg_namespace AS n
INNER JOIN pg_depend AS d ON n.oid = d.refobjid AND d.refclassid = 'pg_namespace'::regclass AND d.deptype = 'n'
CROSS JOIN pg_identify_object(d.classid, d.objid, d.objsubid) AS i
WHERE n.nspname = ANY(%(schemas)b::text[])
ORDER BY i.type, i.identity;
