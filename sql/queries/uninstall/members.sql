-- Who reads through each of these roles: its members, but the installation's owner and this login.
SELECT
    r.rolname::text AS role,
    array_agg(m.rolname::text ORDER BY m.rolname) AS members
FROM pg_auth_members AS a
INNER JOIN pg_roles AS r ON a.roleid = r.oid
INNER JOIN pg_roles AS m ON a.member = m.oid
WHERE
    r.rolname = ANY(%(roles)b::text[])
    AND m.rolname <> session_user
    AND NOT EXISTS (
        SELECT FROM pg_namespace AS n
        WHERE n.nspname = 'consumer' AND n.nspowner = m.oid
    )
GROUP BY r.rolname
ORDER BY r.rolname;
