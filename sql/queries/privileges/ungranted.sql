-- The roles that this login, which may create roles, may not grant, and the statement with which a superuser lets it;
-- no row if there are none. Since PostgreSQL 16 a grant needs the ADMIN option: a login that made the roles on an
-- earlier version did not get it, nor does pg_upgrade add it.
SELECT
    string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname) AS roles,
    format(
        'GRANT %%s TO %%I WITH ADMIN TRUE;', string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname), session_user
    ) AS statement
FROM pg_roles AS r
INNER JOIN pg_roles AS l ON l.rolname = session_user
WHERE
    r.rolname = ANY(%(roles)b::text[])
    AND current_setting('server_version_num')::integer >= 160000
    AND l.rolcreaterole
    AND NOT pg_has_role(l.oid, r.oid, 'MEMBER WITH ADMIN OPTION')
HAVING count(*) > 0;
