-- Each role that a migration needs, and what keeps this login from using it.
-- Up to PostgreSQL 15 a login that may create roles may grant itself any that is no superuser, and a member may always
-- act as the role. Later versions ask for the admin option, and have memberships that allow no SET ROLE.
WITH login AS (
    SELECT
        oid,
        rolsuper,
        rolcreaterole AND current_setting('server_version_num')::integer < 160000 AS may_grant_roles,
        CASE WHEN current_setting('server_version_num')::integer < 160000 THEN 'MEMBER' ELSE 'SET' END AS privilege
    FROM pg_roles
    WHERE rolname = current_user
)

SELECT
    s.name,
    r.oid IS NOT NULL AS is_made,
    coalesce(r.rolcanlogin, FALSE) AS is_login,
    coalesce(r.rolsuper OR r.rolbypassrls, FALSE) AS is_privileged,
    coalesce(NOT r.rolsuper AND r.oid <> login.oid AND pg_has_role(r.oid, login.oid, 'MEMBER'), FALSE) AS has_login,
    coalesce(
        login.rolsuper
        OR pg_has_role(login.oid, r.oid, login.privilege)
        OR (login.may_grant_roles AND NOT r.rolsuper)
        OR EXISTS (
            SELECT FROM pg_auth_members AS m
            WHERE m.roleid = r.oid AND m.admin_option AND pg_has_role(login.oid, m.member, 'USAGE')
        ),
        FALSE
    ) AS is_usable
FROM unnest(%(roles)b::text[]) AS s (name)
CROSS JOIN login
LEFT JOIN pg_roles AS r ON s.name = r.rolname
ORDER BY s.name;
