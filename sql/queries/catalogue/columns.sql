-- The columns of a table: type, NOT NULL, default and uniqueness.
-- A generated column can't be written. is_unique: a unique index covers this column alone, so that ON CONFLICT may name
-- it. is_exclusive: two rows with one value here may be refused, by an index over more columns, over an expression or
-- over a column generated from it, too; has_equal_nulls: two nulls as well. sequence: the sequence of a serial default.
WITH sequences AS (
    SELECT
        p.refobjsubid AS attnum,
        quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS sequence
    FROM pg_depend AS p
    INNER JOIN pg_class AS c ON p.objid = c.oid AND c.relkind = 'S'
    INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
    WHERE p.refobjid = %(oid)b::bigint::oid AND p.deptype = 'a'
),

enums AS (
    SELECT
        enumtypid,
        array_agg(enumlabel::text ORDER BY enumsortorder) AS labels
    FROM pg_enum
    GROUP BY enumtypid
),

uniques AS (
    SELECT DISTINCT i.indkey[0] AS attnum
    FROM pg_index AS i
    WHERE
        i.indrelid = %(oid)b::bigint::oid
        AND i.indisunique
        AND i.indisvalid
        AND i.indimmediate
        AND i.indpred IS NULL
        AND i.indexprs IS NULL
        AND i.indnkeyatts = 1
),

exclusive_indexes AS (
    SELECT
        i.indexrelid,
        i.indnullsnotdistinct,
        i.indkey[0:i.indnkeyatts - 1] AS attnums
    FROM pg_index AS i
    WHERE i.indrelid = %(oid)b::bigint::oid AND (i.indisunique OR i.indisexclusion)
),

exclusive_columns AS (
    SELECT
        unnest(i.attnums) AS attnum,
        i.indnullsnotdistinct AS has_equal_nulls
    FROM exclusive_indexes AS i
    UNION ALL
    -- The columns in an expression.
    SELECT
        p.refobjsubid AS attnum,
        i.indnullsnotdistinct AS has_equal_nulls
    FROM exclusive_indexes AS i
    INNER JOIN pg_depend AS p ON i.indexrelid = p.objid
    WHERE p.classid = 'pg_class'::regclass AND p.refobjid = %(oid)b::bigint::oid
),

exclusive AS (
    SELECT
        sources.attnum,
        bool_or(e.has_equal_nulls) AS has_equal_nulls
    FROM exclusive_columns AS e
    CROSS JOIN
        LATERAL (
            SELECT e.attnum
            UNION ALL
            -- Only a generated column's expression refers to other columns.
            SELECT p.refobjsubid
            FROM pg_attrdef AS d
            INNER JOIN pg_depend AS p ON d.oid = p.objid AND p.classid = 'pg_attrdef'::regclass
            WHERE d.adrelid = %(oid)b::bigint::oid AND d.adnum = e.attnum AND p.refobjid = d.adrelid
        ) AS sources
    GROUP BY sources.attnum
)

SELECT
    a.attname::text AS name,
    quote_ident(a.attname) AS sql_name,
    CASE
        WHEN t.typtype = 'e' THEN 'enum'
        WHEN t.typname IN ('uuid', 'json', 'jsonb') THEN t.typname::text
        ELSE coalesce(
            '{"S": "text", "B": "boolean", "D": "time", "N": "number", "A": "array"}'::jsonb ->> t.typcategory::text,
            'other'
        )
    END AS kind,
    quote_ident(tn.nspname) || '.' || quote_ident(t.typname) AS type_name,
    CASE
        WHEN tn.nspname = 'pg_catalog' THEN format_type(a.atttypid, a.atttypmod)
        ELSE quote_ident(tn.nspname) || '.' || quote_ident(t.typname)
    END AS cast_type,
    CASE
        WHEN t.typname IN ('varchar', 'bpchar') AND a.atttypmod > 4 THEN a.atttypmod - 4
        WHEN t.typbasetype IN ('varchar'::regtype, 'bpchar'::regtype) AND t.typtypmod > 4 THEN t.typtypmod - 4
    END AS characters_max,
    a.attnotnull OR t.typnotnull AS is_required,
    CASE WHEN a.attgenerated = '' THEN coalesce(pg_get_expr(d.adbin, d.adrelid), t.typdefault) END AS default_value,
    a.attgenerated <> '' OR a.attidentity <> '' AS is_generated,
    u.attnum IS NOT NULL AS is_unique,
    x.attnum IS NOT NULL AS is_exclusive,
    coalesce(x.has_equal_nulls, FALSE) AS has_equal_nulls,
    coalesce(e.labels, '{}') AS labels,
    s.sequence
FROM pg_attribute AS a
INNER JOIN pg_type AS t ON a.atttypid = t.oid
INNER JOIN pg_namespace AS tn ON t.typnamespace = tn.oid
LEFT JOIN enums AS e ON a.atttypid = e.enumtypid
LEFT JOIN uniques AS u ON a.attnum = u.attnum
LEFT JOIN exclusive AS x ON a.attnum = x.attnum
LEFT JOIN sequences AS s ON a.attnum = s.attnum
LEFT JOIN pg_attrdef AS d ON a.attrelid = d.adrelid AND a.attnum = d.adnum
WHERE a.attrelid = %(oid)b::bigint::oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum;
