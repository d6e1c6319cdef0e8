-- Who could see or do more in our schemas than they should, and what vacuum leaves out; save for tables and
-- bypassing_roles each list is empty where all is well.
WITH ours AS (
    SELECT
        oid,
        nspname,
        nspacl,
        nspowner
    FROM pg_namespace
    WHERE nspname IN ('consumer', 'identity')
),

relations AS (
    SELECT
        c.oid,
        c.oid::regclass::text AS relation,
        c.relkind,
        c.relacl,
        c.relowner,
        c.reloptions,
        ours.nspname = 'identity' AND c.relkind IN ('r', 'p') AS is_personal,
        c.relrowsecurity AND c.relforcerowsecurity AS is_closed
    FROM pg_class AS c
    INNER JOIN ours ON c.relnamespace = ours.oid
),

-- A null list of privileges means the built-in ones: PUBLIC may execute a new function.
granted AS (
    SELECT
        'schema ' || nspname AS object,
        coalesce(nspacl, acldefault('n', nspowner)) AS privileges
    FROM ours
    UNION ALL
    SELECT
        relation AS object,
        relacl AS privileges
    FROM relations
    UNION ALL
    SELECT
        r.relation || '.' || a.attname AS object,
        a.attacl AS privileges
    FROM pg_attribute AS a
    INNER JOIN relations AS r ON a.attrelid = r.oid
    UNION ALL
    SELECT
        p.oid::regprocedure::text AS object,
        coalesce(p.proacl, acldefault('f', p.proowner)) AS privileges
    FROM pg_proc AS p
    INNER JOIN ours ON p.pronamespace = ours.oid
),

strangers AS (
    SELECT DISTINCT granted.object || ' to ' || coalesce(r.rolname, 'PUBLIC') AS privilege
    FROM granted
    CROSS JOIN aclexplode(granted.privileges) AS a
    LEFT JOIN pg_roles AS r ON a.grantee = r.oid
    WHERE a.grantee = 0 OR r.rolname IN ('anon', 'authenticated')
),

unvacuumed AS (
    SELECT r.relation
    FROM relations AS r
    CROSS JOIN pg_options_to_table(r.reloptions) AS o
    WHERE o.option_name = 'autovacuum_enabled' AND NOT o.option_value::boolean
),

expected AS (
    SELECT
        s.role_name,
        r.rolname IS NULL AS is_missing,
        r.rolsuper OR r.rolbypassrls AS is_privileged
    FROM unnest(%(roles)b::text[]) AS s (role_name)
    LEFT JOIN pg_roles AS r ON s.role_name = r.rolname
)

SELECT
    ARRAY(
        SELECT role_name
        FROM expected
        WHERE is_missing
        ORDER BY role_name
    ) AS missing_roles,
    ARRAY(
        SELECT role_name
        FROM expected
        WHERE is_privileged
        ORDER BY role_name
    ) AS privileged_roles,
    ARRAY(
        SELECT relation
        FROM relations
        WHERE is_personal
        ORDER BY relation
    ) AS tables,
    ARRAY(
        SELECT relation
        FROM relations
        WHERE is_personal AND NOT is_closed
        ORDER BY relation
    ) AS open_tables,
    ARRAY(
        SELECT privilege
        FROM strangers
        ORDER BY privilege
    ) AS strangers_privileges,
    ARRAY(
        SELECT relation
        FROM unvacuumed
        ORDER BY relation
    ) AS unvacuumed_tables,
    ARRAY(
        SELECT rolname::text
        FROM pg_roles
        WHERE rolsuper OR rolbypassrls
        ORDER BY rolname
    ) AS bypassing_roles;
