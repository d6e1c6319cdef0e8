-- What stands between this login and the migrations; each list is empty where nothing does.
-- Up to PostgreSQL 15 whoever may create roles may also grant them; later only those it was made an admin of, which
-- pg_has_role calls membership.
WITH schemas AS (
    SELECT
        s.name,
        n.oid IS NULL AS is_missing,
        n.nspowner
    FROM unnest(%(schemas)b::text[]) AS s (name)
    LEFT JOIN pg_namespace AS n ON s.name = n.nspname
),

roles AS (
    SELECT
        s.name,
        r.oid,
        r.oid IS NULL AS is_missing
    FROM unnest(%(roles)b::text[]) AS s (name)
    LEFT JOIN pg_roles AS r ON s.name = r.rolname
),

login AS (
    SELECT
        rolname,
        rolsuper OR rolcreaterole AS may_create_roles,
        rolcreaterole AND current_setting('server_version_num')::integer < 160000 AS may_grant_roles
    FROM pg_roles
    WHERE rolname = current_user
)

SELECT
    login.rolname AS login,
    current_database() AS database,
    ARRAY(
        SELECT name
        FROM schemas
        WHERE is_missing AND NOT has_database_privilege(current_database(), 'CREATE')
        ORDER BY name
    ) AS schemas_to_make,
    ARRAY(
        SELECT name
        FROM roles
        WHERE
            NOT login.may_create_roles
            -- The first migration asks PostgreSQL for each role, and must be allowed to even where it is there.
            AND (is_missing OR EXISTS(SELECT FROM schemas AS s WHERE s.is_missing))
        ORDER BY name
    ) AS roles_to_make,
    ARRAY(
        SELECT name
        FROM roles
        WHERE NOT (is_missing OR login.may_grant_roles OR pg_has_role(oid, 'MEMBER'))
        ORDER BY name
    ) AS roles_of_others,
    ARRAY(
        SELECT name
        FROM schemas
        WHERE NOT (is_missing OR pg_has_role(nspowner, 'USAGE'))
        ORDER BY name
    ) AS schemas_of_others
FROM login;
