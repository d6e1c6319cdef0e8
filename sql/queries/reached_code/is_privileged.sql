-- Whether the login may do more than the role it works under: code that a statement reaches may take the login over by
-- RESET ROLE.
SELECT
    r.rolsuper
    OR r.rolbypassrls
    OR r.rolcreaterole
    OR r.rolcreatedb
    OR r.rolreplication
    OR EXISTS (
        SELECT FROM pg_auth_members AS m
        WHERE m.member = r.oid AND m.roleid::regrole <> quote_ident(current_user)::regrole
    )
    OR EXISTS (
        SELECT FROM pg_shdepend AS d
        WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'o'
    ) AS is_privileged
FROM pg_roles AS r
WHERE r.rolname = session_user;
