-- The statement that lets this login act as a role. Since PostgreSQL 16 a member may lack the right to take the role,
-- and a plain GRANT does not change that.
SELECT
    format(
        'GRANT %%I TO %%I%%s;',
        %(role)b::text,
        session_user,
        CASE
            WHEN
                current_setting('server_version_num')::integer >= 160000
                AND EXISTS (
                    SELECT FROM pg_auth_members AS m
                    INNER JOIN pg_roles AS r ON m.roleid = r.oid
                    INNER JOIN pg_roles AS l ON m.member = l.oid
                    WHERE r.rolname = %(role)b::text AND l.rolname = session_user
                )
                THEN ' WITH SET TRUE'
            ELSE ''
        END
    );
