-- Every privilege, owner, policy, and every attribute that decides whose rights count: one text a row, and in it the
-- name of a thing, a colon, and one fact. It shares nothing with sql/queries/privileges/read.sql, which it judges.
WITH ours AS (
    SELECT oid FROM pg_namespace WHERE nspname IN ('consumer', 'consumer_masked', 'identity')
),

relations AS (
    SELECT
        c.*,
        n.nspname || '.' || c.relname AS name,
        CASE c.relkind
            WHEN 'v' THEN 'view'
            WHEN 'm' THEN 'materialized view'
            WHEN 'S' THEN 'sequence'
            WHEN 'f' THEN 'foreign table'
            ELSE 'table'
        END AS kind
    FROM pg_class AS c
    INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
),

functions AS (
    SELECT
        p.*,
        n.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' AS name
    FROM pg_proc AS p
    INNER JOIN pg_namespace AS n ON p.pronamespace = n.oid
),

-- Neither arrays nor the rows of tables, which are no types of their own.
types AS (
    SELECT
        t.*,
        n.nspname || '.' || t.typname AS name
    FROM pg_type AS t
    INNER JOIN pg_namespace AS n ON t.typnamespace = n.oid
    LEFT JOIN pg_class AS c ON t.typrelid = c.oid
    WHERE t.typelem = 0 AND coalesce(c.relkind = 'c', TRUE)
),

objects AS (
    SELECT 'schema ' || nspname AS name, nspowner AS owner, coalesce(nspacl, acldefault('n', nspowner)) AS acl, oid AS schema_id
    FROM pg_namespace
    UNION ALL
    SELECT kind || ' ' || name, relowner, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, relowner)),
        relnamespace
    FROM relations
    UNION ALL
    SELECT 'function ' || name, proowner, coalesce(proacl, acldefault('f', proowner)), pronamespace FROM functions
    UNION ALL
    SELECT 'type ' || name, typowner, coalesce(typacl, acldefault('T', typowner)), typnamespace FROM types
    UNION ALL
    SELECT 'database', datdba, datacl, NULL FROM pg_database WHERE datname = current_database()
),

granted AS (
    SELECT o.*, o.schema_id IN (SELECT oid FROM ours) AS is_ours FROM objects AS o
    UNION ALL
    SELECT 'column ' || r.name || '.' || a.attname, r.relowner, a.attacl, r.relnamespace,
        r.relnamespace IN (SELECT oid FROM ours)
    FROM relations AS r
    INNER JOIN pg_attribute AS a ON r.oid = a.attrelid AND NOT a.attisdropped
    UNION ALL
    SELECT 'new ' || defaclobjtype::text || ' of ' || defaclrole::regrole, 0, defaclacl, defaclnamespace, TRUE
    FROM pg_default_acl
)

SELECT
    g.name || ': ' || CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
    || ' ' || a.privilege_type || CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS line
FROM granted AS g, aclexplode(g.acl) AS a
-- The columns of an owner's own table say nothing that the table does not.
WHERE NOT (g.name LIKE 'column %%' AND a.grantee = g.owner) AND (g.is_ours OR a.grantee::regrole::text = ANY(%(roles)s))

UNION ALL
SELECT name || ': owner ' || owner::regrole FROM objects WHERE schema_id IN (SELECT oid FROM ours)

UNION ALL
SELECT kind || ' ' || name || ': ' || array_to_string(coalesce(reloptions, '{}'), ', ')
FROM relations WHERE relkind IN ('v', 'm') AND relnamespace IN (SELECT oid FROM ours)

UNION ALL
SELECT kind || ' ' || name || ': row level security ' || CASE WHEN relrowsecurity THEN 'on' ELSE 'off' END
    || CASE WHEN relforcerowsecurity THEN ', forced' ELSE '' END
FROM relations WHERE relkind IN ('r', 'p') AND relnamespace IN (SELECT oid FROM ours)

UNION ALL
SELECT 'function ' || name || ': ' || CASE WHEN prosecdef THEN 'SECURITY DEFINER' ELSE 'SECURITY INVOKER' END
    || CASE WHEN proleakproof THEN ', LEAKPROOF' ELSE '' END
    || coalesce(', ' || (SELECT string_agg(s, ', ' ORDER BY s) FROM unnest(proconfig) AS s), '')
FROM functions WHERE pronamespace IN (SELECT oid FROM ours)

UNION ALL
SELECT 'policy ' || r.name || ' ' || p.polname || ': ' || CASE WHEN p.polpermissive THEN '' ELSE 'RESTRICTIVE ' END
    || CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
        ELSE 'ALL' END
    || ' TO ' || (
        SELECT string_agg(grantee, ', ' ORDER BY grantee)
        FROM (SELECT CASE WHEN id = 0 THEN 'PUBLIC' ELSE id::regrole::text END AS grantee FROM unnest(p.polroles) AS id)
            AS grantees
    )
    || coalesce(' USING ' || pg_get_expr(p.polqual, r.oid), '')
    || coalesce(' CHECK ' || pg_get_expr(p.polwithcheck, r.oid), '')
FROM pg_policy AS p
INNER JOIN relations AS r ON p.polrelid = r.oid

UNION ALL
SELECT 'role ' || rolname || ': ' || concat_ws(
    ' ',
    CASE WHEN rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END,
    CASE WHEN rolinherit THEN 'INHERIT' ELSE 'NOINHERIT' END,
    CASE WHEN rolsuper THEN 'SUPERUSER' END,
    CASE WHEN rolbypassrls THEN 'BYPASSRLS' END,
    CASE WHEN rolcreaterole THEN 'CREATEROLE' END,
    CASE WHEN rolcreatedb THEN 'CREATEDB' END,
    CASE WHEN rolreplication THEN 'REPLICATION' END,
    array_to_string(rolconfig, ' ')
)
FROM pg_roles WHERE rolname = ANY(%(roles)s)

UNION ALL
SELECT 'role ' || roleid::regrole || ': member ' || member::regrole
    || CASE WHEN bool_or(admin_option) THEN ' ADMIN' ELSE '' END
FROM pg_auth_members WHERE roleid::regrole::text = ANY(%(roles)s) OR member::regrole::text = ANY(%(roles)s)
GROUP BY roleid, member
