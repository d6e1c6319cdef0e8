-- Each schema of ours that exists: its owner, what this login has of the owner's rights, and the extension that it
-- belongs to.
SELECT
    n.nspname::text AS name,
    quote_ident(o.rolname) AS owner,
    o.rolsuper AS is_superusers,
    pg_has_role(o.oid, 'USAGE') AS has_owners_rights,
    pg_has_role(o.oid, 'MEMBER') AS is_member_of_owner,
    (
        SELECT e.extname::text
        FROM pg_depend AS d
        INNER JOIN pg_extension AS e ON d.refobjid = e.oid
        WHERE
            d.classid = 'pg_namespace'::regclass
            AND d.objid = n.oid
            AND d.refclassid = 'pg_extension'::regclass
            AND d.deptype = 'e'
    ) AS extension
FROM pg_namespace AS n
INNER JOIN pg_roles AS o ON n.nspowner = o.oid
WHERE n.nspname = ANY(%(schemas)b::text[])
ORDER BY n.nspname;
