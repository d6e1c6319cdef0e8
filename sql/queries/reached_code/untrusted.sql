-- The triggers, rules and functions that writes reach and that belong to neither the login, nor a role that it is a
-- member of, nor a superuser.
-- An object is a catalogue and an id; is_written: its triggers fire. The writes begin at the tables and functions of
-- pg_temp.statement, if that function exists, and at the rows of identity, whose deletion may cascade. Our own objects
-- belong to the login that migrated. The catalogue does not know the tables and functions inside a PL/pgSQL body.
WITH RECURSIVE members AS (
    SELECT oid AS role
    FROM pg_roles
    WHERE rolname = session_user
    UNION
    SELECT m.roleid AS role
    FROM members
    INNER JOIN pg_auth_members AS m ON members.role = m.member
),

strangers AS (
    SELECT
        oid AS role,
        rolname AS name
    FROM pg_roles
    WHERE NOT rolsuper AND oid NOT IN (SELECT m.role FROM members AS m)
),

schemas AS (
    SELECT
        oid,
        nspname AS name,
        nspname IN ('consumer', 'consumer_masked', 'identity') AS is_ours
    FROM pg_namespace
),

reached AS (
    SELECT
        d.refclassid AS classid,
        d.refobjid AS objid,
        d.refclassid <> 'pg_class'::regclass
        OR has_any_column_privilege(d.refobjid, 'INSERT, UPDATE')
        OR has_table_privilege(d.refobjid, 'DELETE') AS is_written
    FROM pg_proc AS p
    INNER JOIN pg_depend AS d ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
    WHERE p.proname = 'statement' AND p.pronamespace = pg_my_temp_schema()
    UNION ALL
    SELECT
        'pg_class'::regclass AS classid,
        c.oid AS objid,
        TRUE AS is_written
    FROM pg_class AS c
    INNER JOIN schemas AS s ON c.relnamespace = s.oid
    WHERE s.name = 'identity' AND c.relkind = 'r'
    UNION
    SELECT
        next.classid,
        next.objid,
        next.is_written
    FROM reached AS r
    LEFT JOIN pg_class AS c ON r.classid = 'pg_class'::regclass AND r.objid = c.oid
    LEFT JOIN schemas AS s ON c.relnamespace = s.oid
    CROSS JOIN LATERAL (
        -- Tables whose rows a foreign key changes with those of this one.
        SELECT
            'pg_class'::regclass AS classid,
            k.conrelid AS objid,
            TRUE AS is_written
        FROM pg_constraint AS k
        WHERE
            r.is_written
            AND k.confrelid = c.oid
            AND (k.confupdtype IN ('c', 'd', 'n') OR k.confdeltype IN ('c', 'd', 'n'))
        UNION ALL
        -- Partitions and tables that inherit.
        SELECT
            'pg_class'::regclass AS classid,
            i.inhrelid AS objid,
            r.is_written
        FROM pg_inherits AS i
        WHERE i.inhparent = c.oid
        UNION ALL
        -- What a table brings along: defaults, generated columns, checks, policies, rules, indexes, domains, triggers.
        SELECT
            part.classid,
            part.objid,
            r.is_written
        FROM (
            SELECT
                'pg_attrdef'::regclass AS classid,
                oid AS objid
            FROM pg_attrdef
            WHERE adrelid = c.oid
            UNION ALL
            SELECT
                'pg_constraint'::regclass AS classid,
                oid AS objid
            FROM pg_constraint
            WHERE conrelid = c.oid AND contype = 'c'
            UNION ALL
            SELECT
                'pg_policy'::regclass AS classid,
                oid AS objid
            FROM pg_policy
            WHERE polrelid = c.oid
            UNION ALL
            SELECT
                'pg_rewrite'::regclass AS classid,
                oid AS objid
            FROM pg_rewrite
            WHERE ev_class = c.oid
            UNION ALL
            SELECT
                'pg_class'::regclass AS classid,
                indexrelid AS objid
            FROM pg_index
            WHERE indrelid = c.oid
            UNION ALL
            SELECT
                'pg_type'::regclass AS classid,
                atttypid AS objid
            FROM pg_attribute
            WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
            UNION ALL
            SELECT
                'pg_trigger'::regclass AS classid,
                oid AS objid
            FROM pg_trigger
            WHERE r.is_written AND tgrelid = c.oid AND NOT tgisinternal AND tgenabled <> 'D'
        ) AS part
        WHERE NOT s.is_ours
        UNION ALL
        SELECT
            'pg_constraint'::regclass AS classid,
            k.oid AS objid,
            r.is_written
        FROM pg_constraint AS k
        WHERE r.classid = 'pg_type'::regclass AND k.contypid = r.objid
        UNION ALL
        -- What an expression uses: functions, operators, types; a view, a rule, a policy or a function tables too.
        SELECT
            d.refclassid AS classid,
            d.refobjid AS objid,
            r.is_written
        FROM pg_depend AS d
        WHERE
            d.classid = r.classid
            AND d.objid = r.objid
            AND (
                d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass)
                OR (
                    d.refclassid = 'pg_class'::regclass
                    AND r.classid IN ('pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_proc'::regclass)
                )
            )
    ) AS next
),

expressions AS (
    SELECT
        adrelid AS relid,
        pg_get_expr(adbin, adrelid) AS text
    FROM pg_attrdef
    UNION ALL
    SELECT
        conrelid AS relid,
        pg_get_expr(conbin, conrelid) AS text
    FROM pg_constraint
    WHERE contype = 'c'
    UNION ALL
    SELECT
        polrelid AS relid,
        concat(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) AS text
    FROM pg_policy
    UNION ALL
    SELECT
        indrelid AS relid,
        concat(pg_get_expr(indexprs, indrelid), pg_get_expr(indpred, indrelid)) AS text
    FROM pg_index
),

owned AS (
    SELECT
        'function ' || s.name || '.' || p.proname AS object,
        p.proowner AS role
    FROM reached AS r
    INNER JOIN pg_proc AS p ON r.classid = 'pg_proc'::regclass AND r.objid = p.oid
    INNER JOIN schemas AS s ON p.pronamespace = s.oid
    WHERE NOT s.is_ours
    UNION ALL
    SELECT
        'trigger ' || t.tgname || ' on ' || s.name || '.' || c.relname AS object,
        c.relowner AS role
    FROM reached AS r
    INNER JOIN pg_trigger AS t ON r.classid = 'pg_trigger'::regclass AND r.objid = t.oid
    INNER JOIN pg_class AS c ON t.tgrelid = c.oid
    INNER JOIN schemas AS s ON c.relnamespace = s.oid
    UNION ALL
    SELECT
        'rule ' || w.rulename || ' on ' || s.name || '.' || c.relname AS object,
        c.relowner AS role
    FROM reached AS r
    INNER JOIN pg_rewrite AS w ON r.classid = 'pg_rewrite'::regclass AND r.objid = w.oid
    INNER JOIN pg_class AS c ON w.ev_class = c.oid
    INNER JOIN schemas AS s ON c.relnamespace = s.oid
    WHERE NOT s.is_ours
    UNION ALL
    -- PostgreSQL's own functions that change the role, or run a text as SQL.
    SELECT
        'expression with set_config, xml or ts_stat on ' || s.name || '.' || c.relname AS object,
        c.relowner AS role
    FROM reached AS r
    INNER JOIN pg_class AS c ON r.classid = 'pg_class'::regclass AND r.objid = c.oid
    INNER JOIN schemas AS s ON c.relnamespace = s.oid
    INNER JOIN expressions AS e ON c.oid = e.relid
    WHERE NOT s.is_ours AND e.text ~ '(set_config|_to_xml\w*|ts_stat|ts_rewrite)\('
)

SELECT DISTINCT o.object || ' of ' || s.name AS object
FROM owned AS o
INNER JOIN strangers AS s ON o.role = s.role
ORDER BY object;
