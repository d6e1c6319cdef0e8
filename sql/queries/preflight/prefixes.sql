-- The ROLE_PREFIX under which this database was migrated; no row before the first migration. A dump without grants
-- still has the policies, and one without policies the functions' owner.
WITH roles AS (
    SELECT
        a.grantee AS role_id,
        '_worker' AS duty
    FROM pg_namespace AS n
    CROSS JOIN aclexplode(n.nspacl) AS a
    WHERE n.nspname = 'consumer' AND a.privilege_type = 'USAGE' AND a.grantee <> n.nspowner
    UNION ALL
    SELECT
        g.role_id,
        '_worker' AS duty
    FROM pg_policy AS p
    INNER JOIN pg_class AS c ON p.polrelid = c.oid
    INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
    CROSS JOIN unnest(p.polroles) AS g (role_id)
    WHERE n.nspname = 'identity' AND p.polname = 'worker'
    UNION ALL
    SELECT
        f.proowner AS role_id,
        '_definer' AS duty
    FROM pg_proc AS f
    INNER JOIN pg_namespace AS n ON f.pronamespace = n.oid
    WHERE n.nspname = 'identity' AND f.proname = 'scrub_audit'
)

SELECT DISTINCT left(r.rolname, -length(d.duty)) AS role_prefix
FROM roles AS d
INNER JOIN pg_roles AS r ON d.role_id = r.oid
WHERE right(r.rolname, length(d.duty)) = d.duty
ORDER BY role_prefix;
