-- Every role, owner, privilege, policy and attribute of ours that decides who may do what: as the statement that makes
-- it, with the statement that undoes it, and the object and the roles concerned. CURRENT_USER is the installation's
-- owner. Run privileges/plain_names before.
WITH installation AS (
    SELECT coalesce(n.nspowner, l.oid) AS owner_id
    FROM pg_roles AS l
    LEFT JOIN pg_namespace AS n ON n.nspname = 'consumer'
    WHERE l.rolname = current_user
),

ours AS (
    SELECT
        r.*,
        quote_ident(r.rolname) AS name
    FROM pg_roles AS r
    WHERE r.rolname = ANY(%(roles)b::text[])
),

relations AS (
    SELECT
        c.*,
        format('%%s %%I.%%I', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname) AS object,
        format('%%I.%%I', n.nspname, c.relname) AS name
    FROM pg_class AS c
    INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
    WHERE n.nspname IN ('consumer', 'consumer_masked', 'identity') AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
),

functions AS (
    SELECT
        p.*,
        format('FUNCTION %%I.%%I(%%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS object
    FROM pg_proc AS p
    INNER JOIN pg_namespace AS n ON p.pronamespace = n.oid
    WHERE n.nspname IN ('consumer', 'consumer_masked', 'identity') AND p.prokind IN ('f', 'w')
),

objects AS (
    SELECT
        format('SCHEMA %%I', n.nspname) AS object,
        n.nspowner AS owner_id,
        n.nspacl AS acl,
        acldefault('n', n.nspowner) AS built_in
    FROM pg_namespace AS n
    WHERE n.nspname IN ('consumer', 'consumer_masked', 'identity')
    UNION ALL
    SELECT
        object,
        relowner AS owner_id,
        relacl AS acl,
        CASE relkind WHEN 'S' THEN acldefault('s', relowner) ELSE acldefault('r', relowner) END AS built_in
    FROM relations
    UNION ALL
    SELECT
        object,
        proowner AS owner_id,
        proacl AS acl,
        acldefault('f', proowner) AS built_in
    FROM functions
),

owned AS (
    SELECT
        o.*,
        CASE
            WHEN o.owner_id = i.owner_id THEN 'CURRENT_USER'
            ELSE quote_ident(pg_get_userbyid(o.owner_id))
        END AS owner
    FROM objects AS o
    CROSS JOIN installation AS i
),

granted AS (
    SELECT
        o.object,
        a.privilege_type AS privilege,
        a.grantee,
        a.is_grantable,
        nullif(a.grantor, o.owner_id) AS grantor
    FROM owned AS o
    CROSS JOIN aclexplode(coalesce(o.acl, o.built_in)) AS a
    WHERE a.grantee <> o.owner_id
    UNION
    SELECT
        r.object,
        format('%%s (%%I)', a.privilege_type, c.attname) AS privilege,
        a.grantee,
        a.is_grantable,
        nullif(a.grantor, r.relowner) AS grantor
    FROM relations AS r
    INNER JOIN pg_attribute AS c ON r.oid = c.attrelid AND NOT c.attisdropped
    CROSS JOIN aclexplode(c.attacl) AS a
    WHERE a.grantee <> r.relowner
),

-- Only who gave a privilege can take it away: the owner, or for others the grantor.
grants AS (
    SELECT
        object,
        privilege,
        is_grantable,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS grantee,
        coalesce('SET ROLE ' || quote_ident(pg_get_userbyid(grantor)) || '; ', '') AS before,
        CASE WHEN grantor IS NULL THEN '' ELSE ' RESET ROLE;' END AS after
    FROM granted
),

-- An owner without its own privileges: the checks of foreign keys run as the owner.
bereft AS (
    SELECT DISTINCT
        o.object,
        o.owner
    FROM owned AS o
    CROSS JOIN aclexplode(o.built_in) AS b
    WHERE
        b.grantee = o.owner_id
        AND NOT aclcontains(o.acl, makeaclitem(b.grantee, b.grantor, b.privilege_type, FALSE))
),

policies AS (
    SELECT
        r.object,
        format('POLICY %%I ON %%s', p.polname, r.name) AS policy,
        CASE WHEN p.polpermissive THEN '' ELSE ' AS RESTRICTIVE' END
        || CASE p.polcmd
            WHEN 'r' THEN ' FOR SELECT'
            WHEN 'a' THEN ' FOR INSERT'
            WHEN 'w' THEN ' FOR UPDATE'
            WHEN 'd' THEN ' FOR DELETE'
            ELSE ''
        END AS commands,
        ARRAY(
            SELECT CASE t.role_id WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(t.role_id)) END AS grantee
            FROM unnest(p.polroles) AS t (role_id)
            ORDER BY grantee
        ) AS grantees,
        regexp_replace(
            coalesce(' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', '')
            || coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', ''),
            '\s+',
            ' ',
            'g'
        ) AS conditions
    FROM pg_policy AS p
    INNER JOIN relations AS r ON p.polrelid = r.oid
),

settings AS (
    SELECT
        f.object,
        quote_ident(split_part(s.setting, '=', 1)) AS name,
        substring(s.setting FROM '=(.*)$') AS value
    FROM functions AS f
    CROSS JOIN unnest(f.proconfig) AS s (setting)
),

attributes AS (
    SELECT
        ours.name,
        a.attribute
    FROM ours
    CROSS JOIN
        LATERAL (
            VALUES
            (ours.rolsuper, 'SUPERUSER'),
            (ours.rolbypassrls, 'BYPASSRLS'),
            (ours.rolcreaterole, 'CREATEROLE'),
            (ours.rolcreatedb, 'CREATEDB'),
            (ours.rolreplication, 'REPLICATION')
        ) AS a (is_set, attribute)
    WHERE a.is_set
),

found AS (
    SELECT
        format('CREATE ROLE %%s NOLOGIN NOINHERIT;', name) AS statement,
        NULL AS undo,
        NULL AS object,
        NULL::text[] AS grantees
    FROM ours
    UNION ALL
    SELECT
        format('ALTER ROLE %%s %%s;', name, attribute) AS statement,
        format('ALTER ROLE %%s NO%%s;', name, attribute) AS undo,
        NULL AS object,
        NULL AS grantees
    FROM attributes
    UNION ALL
    -- Since PostgreSQL 16 a member may lack the right to take the role.
    SELECT
        format('GRANT %%s TO CURRENT_USER;', ours.name) AS statement,
        NULL AS undo,
        NULL AS object,
        NULL AS grantees
    FROM ours
    CROSS JOIN installation AS i
    WHERE pg_has_role(
        i.owner_id,
        ours.oid,
        CASE WHEN current_setting('server_version_num')::integer < 160000 THEN 'MEMBER' ELSE 'SET' END
    )
    UNION ALL
    SELECT
        format('GRANT %%I TO %%s;', g.rolname, ours.name) AS statement,
        format('REVOKE %%I FROM %%s;', g.rolname, ours.name) AS undo,
        NULL AS object,
        ARRAY[ours.name] AS grantees
    FROM pg_auth_members AS m
    INNER JOIN ours ON m.member = ours.oid
    INNER JOIN pg_roles AS g ON m.roleid = g.oid
    -- An administrator may let consumer_masked.statements read.
    WHERE NOT (ours.rolname LIKE '%%\_masker' AND g.rolname = 'pg_read_all_stats')
    UNION ALL
    SELECT
        format('ALTER %%s OWNER TO %%s;', object, owner) AS statement,
        NULL AS undo,
        object,
        NULL AS grantees
    FROM owned
    UNION ALL
    SELECT
        format('GRANT %%s ON %%s TO %%s;', privilege, object, grantee) AS statement,
        format('%%sREVOKE %%s ON %%s FROM %%s CASCADE;%%s', before, privilege, object, grantee, after) AS undo,
        object,
        ARRAY[grantee] AS grantees
    FROM grants
    UNION ALL
    SELECT
        format('GRANT %%s ON %%s TO %%s WITH GRANT OPTION;', privilege, object, grantee) AS statement,
        format(
            '%%sREVOKE GRANT OPTION FOR %%s ON %%s FROM %%s CASCADE;%%s', before, privilege, object, grantee, after
        ) AS undo,
        object,
        ARRAY[grantee] AS grantees
    FROM grants
    WHERE is_grantable
    UNION ALL
    SELECT
        format('REVOKE ALL ON %%s FROM %%s;', object, owner) AS statement,
        format('GRANT ALL ON %%s TO %%s;', object, owner) AS undo,
        object,
        '{}' AS grantees
    FROM bereft
    UNION ALL
    SELECT
        format('ALTER %%s SECURITY %%s;', object, CASE WHEN prosecdef THEN 'DEFINER' ELSE 'INVOKER' END) AS statement,
        NULL AS undo,
        object,
        NULL AS grantees
    FROM functions
    UNION ALL
    SELECT
        format('ALTER %%s LEAKPROOF;', object) AS statement,
        format('ALTER %%s NOT LEAKPROOF;', object) AS undo,
        object,
        NULL AS grantees
    FROM functions
    WHERE proleakproof
    UNION ALL
    -- The catalogue holds the value of search_path as a list of identifiers that are quoted already.
    SELECT
        format(
            'ALTER %%s SET %%s TO %%s;',
            object,
            name,
            CASE name WHEN 'search_path' THEN value ELSE quote_literal(value) END
        ) AS statement,
        format('ALTER %%s RESET %%s;', object, name) AS undo,
        object,
        NULL AS grantees
    FROM settings
    UNION ALL
    SELECT
        format('ALTER %%s SET (%%s);', r.object, o.setting) AS statement,
        format('ALTER %%s RESET (%%s);', r.object, split_part(o.setting, '=', 1)) AS undo,
        r.object,
        NULL AS grantees
    FROM relations AS r
    CROSS JOIN unnest(r.reloptions) AS o (setting)
    WHERE r.relkind = 'v'
    UNION ALL
    SELECT
        format('ALTER %%s ENABLE ROW LEVEL SECURITY;', object) AS statement,
        format('ALTER %%s DISABLE ROW LEVEL SECURITY;', object) AS undo,
        object,
        NULL AS grantees
    FROM relations
    WHERE relrowsecurity
    UNION ALL
    SELECT
        format('ALTER %%s FORCE ROW LEVEL SECURITY;', object) AS statement,
        format('ALTER %%s NO FORCE ROW LEVEL SECURITY;', object) AS undo,
        object,
        NULL AS grantees
    FROM relations
    WHERE relforcerowsecurity
    UNION ALL
    SELECT
        format('CREATE %%s%%s TO %%s%%s;', policy, commands, array_to_string(grantees, ', '), conditions) AS statement,
        format('DROP %%s;', policy) AS undo,
        object,
        grantees
    FROM policies
)

SELECT
    statement,
    undo,
    object,
    grantees
FROM found
ORDER BY statement;
