-- The rights that this login lacks for the migrations; each list is empty if nothing is missing.
-- Up to PostgreSQL 15 a login that may create roles may also grant any role. Later versions allow only roles of which
-- it is an admin; pg_has_role reports that as membership.
WITH schemas AS (
    SELECT
        s.name,
        n.oid IS NULL AND NOT has_database_privilege(current_database(), 'CREATE') AS is_to_make,
        n.oid IS NOT NULL AND NOT pg_has_role(n.nspowner, 'USAGE') AS is_of_others
    FROM unnest(%(schemas)b::text[]) AS s (name)
    LEFT JOIN pg_namespace AS n ON s.name = n.nspname
),

login AS (
    SELECT
        rolname,
        rolsuper OR rolcreaterole AS may_create_roles,
        rolcreaterole AND current_setting('server_version_num')::integer < 160000 AS may_grant_roles
    FROM pg_roles
    WHERE rolname = current_user
),

roles AS (
    SELECT
        s.name,
        r.oid IS NULL AND NOT login.may_create_roles AS is_to_make,
        r.oid IS NOT NULL AND NOT (login.may_grant_roles OR pg_has_role(r.oid, 'MEMBER')) AS is_of_others
    FROM unnest(%(roles)b::text[]) AS s (name)
    CROSS JOIN login
    LEFT JOIN pg_roles AS r ON s.name = r.rolname
)

SELECT
    login.rolname AS login,
    current_database() AS database,
    ARRAY(
        SELECT s.name
        FROM schemas AS s
        WHERE s.is_to_make
        ORDER BY s.name
    ) AS schemas_to_make,
    ARRAY(
        SELECT r.name
        FROM roles AS r
        WHERE r.is_to_make
        ORDER BY r.name
    ) AS roles_to_make,
    ARRAY(
        SELECT r.name
        FROM roles AS r
        WHERE r.is_of_others
        ORDER BY r.name
    ) AS roles_of_others,
    ARRAY(
        SELECT s.name
        FROM schemas AS s
        WHERE s.is_of_others
        ORDER BY s.name
    ) AS schemas_of_others
FROM login;
