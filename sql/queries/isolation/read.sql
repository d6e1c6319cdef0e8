-- Rights in our schemas that roles should not have, and tables that vacuum skips; each list except tables and
-- bypassing_roles is empty if all is well.
-- bypassing_applications leaves out the cluster's first superuser, because nobody can take its rights away, and the
-- owner of the schemas and the present login, because other checks cover them.
WITH RECURSIVE ours AS (
    SELECT
        oid,
        nspname,
        nspacl,
        nspowner
    FROM pg_namespace
    WHERE nspname IN ('consumer', 'consumer_masked', 'identity')
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

-- Pairs of a table and a role that reads it, without a policy for the role: the role sees no row.
unguarded AS (
    SELECT r.relation || ' for ' || s.role_name AS relation
    FROM relations AS r
    CROSS JOIN unnest(%(readers)b::text[]) AS s (role_name)
    WHERE
        r.is_personal
        AND NOT EXISTS (
            SELECT FROM pg_policy AS p
            INNER JOIN pg_roles AS o ON o.oid = ANY(p.polroles)
            WHERE p.polrelid = r.oid AND o.rolname = s.role_name AND p.polpermissive
        )
),

added AS (
    SELECT DISTINCT quote_ident(p.polname) || ' on ' || r.relation || ' for ' || coalesce(o.rolname, 'PUBLIC') AS policy
    FROM pg_policy AS p
    INNER JOIN relations AS r ON p.polrelid = r.oid
    CROSS JOIN unnest(p.polroles) AS g (role_oid)
    LEFT JOIN pg_roles AS o ON g.role_oid = o.oid
    WHERE
        r.is_personal
        AND NOT (p.polname = ANY(%(policies)b::text[]) AND coalesce(o.rolname = ANY(%(roles)b::text[]), FALSE))
),

applications AS (
    SELECT oid
    FROM pg_roles
    WHERE rolname = ANY(%(applications)b::text[])
    UNION
    SELECT m.member AS oid
    FROM pg_auth_members AS m
    INNER JOIN applications AS a ON m.roleid = a.oid
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
        SELECT relation
        FROM unguarded
        ORDER BY relation
    ) AS unguarded_tables,
    ARRAY(
        SELECT policy
        FROM added
        ORDER BY policy
    ) AS added_policies,
    ARRAY(
        SELECT quote_ident(r.rolname)
        FROM pg_roles AS r
        INNER JOIN applications AS a ON r.oid = a.oid
        WHERE
            r.rolcanlogin
            AND (r.rolsuper OR r.rolbypassrls)
            AND r.oid <> 10
            AND r.rolname <> session_user
            AND NOT EXISTS (
                SELECT FROM ours
                WHERE ours.nspowner = r.oid
            )
        ORDER BY r.rolname
    ) AS bypassing_applications,
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
