-- The ROLE_PREFIX under which this database was migrated; no row before the first migration.
SELECT left(r.rolname, -length('_worker')) AS role_prefix
FROM pg_namespace AS n
CROSS JOIN aclexplode(n.nspacl) AS a
INNER JOIN pg_roles AS r ON a.grantee = r.oid
WHERE
    n.nspname = 'consumer'
    AND a.privilege_type = 'USAGE'
    AND a.grantee <> n.nspowner
    AND right(r.rolname, length('_worker')) = '_worker'
ORDER BY r.rolname;
