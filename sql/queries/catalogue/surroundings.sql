-- All else that a write to a table meets: its triggers, the foreign keys that refer to it, its unique indexes and its
-- CHECK constraints; and, by column name, the table that a foreign key of one column refers to.
WITH constraints AS (
    SELECT
        k.contype,
        k.conname::text AS constraint_name,
        k.conrelid,
        k.confrelid,
        k.conkey,
        pg_get_constraintdef(k.oid) AS definition
    FROM pg_constraint AS k
    WHERE %(oid)b::bigint::oid IN (k.conrelid, k.confrelid)
),

relations AS (
    SELECT
        c.oid,
        n.nspname || '.' || c.relname AS name
    FROM pg_class AS c
    INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
),

led AS (
    SELECT coalesce(jsonb_object_agg(a.attname, r.name), '{}') AS leads_to
    FROM constraints AS k
    INNER JOIN relations AS r ON k.confrelid = r.oid
    INNER JOIN pg_attribute AS a ON k.conrelid = a.attrelid AND k.conkey[1] = a.attnum
    WHERE k.contype = 'f' AND k.conrelid = %(oid)b::bigint::oid AND cardinality(k.conkey) = 1
),

referring AS (
    SELECT coalesce(array_agg(r.name || ', ' || k.definition ORDER BY r.name, k.constraint_name), '{}') AS referrers
    FROM constraints AS k
    INNER JOIN relations AS r ON k.conrelid = r.oid
    WHERE k.contype = 'f' AND k.confrelid = %(oid)b::bigint::oid
)

SELECT
    ARRAY(
        SELECT
            t.tgname
            || ' calls '
            || p.proname
            || CASE WHEN p.prosecdef THEN ' as its owner' ELSE ' as the worker' END
        FROM pg_trigger AS t
        INNER JOIN pg_proc AS p ON t.tgfoid = p.oid
        WHERE t.tgrelid = %(oid)b::bigint::oid AND NOT t.tgisinternal AND t.tgenabled <> 'D'
        ORDER BY t.tgname
    ) AS triggers,
    referring.referrers,
    ARRAY(
        SELECT pg_get_indexdef(i.indexrelid)
        FROM pg_index AS i
        WHERE i.indrelid = %(oid)b::bigint::oid AND i.indisunique
        ORDER BY i.indexrelid
    ) AS unique_indexes,
    ARRAY(
        SELECT k.constraint_name || ', ' || k.definition
        FROM constraints AS k
        WHERE k.contype = 'c' AND k.conrelid = %(oid)b::bigint::oid
        ORDER BY k.constraint_name
    ) AS checks,
    led.leads_to
FROM led
CROSS JOIN referring;
