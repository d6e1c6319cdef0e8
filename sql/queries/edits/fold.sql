-- Fold the claimed edits into consumer.edits: for each user and field the newest one wins, a withdrawal included.
-- Of a forgotten user, no edit is stored that edits/forget would delete.
-- Return one row: the deliveries that changed a stored edit, and those that a newer delivery supersedes.
-- The users are locked by their mirror rows, so the stored edits cannot change meanwhile.
WITH claimed AS MATERIALIZED (
    SELECT
        o.seq,
        o.user_id,
        consumer.version(o.source, o.occurred_at, o.message_id) COLLATE "C" AS version,
        convert_from(coalesce(o.reduced, o.body), 'UTF8')::jsonb -> 'data' AS data
    FROM consumer.outbox AS o
    WHERE o.seq = ANY(%(seqs)b::bigint[])
),

facts AS MATERIALIZED (
    SELECT
        c.seq,
        c.user_id,
        e.field,
        CASE WHEN e.field = 'company_id' THEN lower(c.data ->> e.field) ELSE c.data ->> e.field END AS value,
        c.version
    FROM claimed AS c
    INNER JOIN identity.stack_user_profiles AS m ON c.user_id = m.stack_user_id
    CROSS JOIN unnest(ARRAY['company_id', 'department', 'role_type']) AS e (field)
    WHERE
        c.data ? e.field
        AND (NOT m.is_forgotten OR (e.field <> 'company_id' AND NOT m.is_removed))
),

newest AS MATERIALIZED (
    SELECT DISTINCT ON (f.user_id, f.field)
        f.user_id,
        f.field,
        f.value,
        f.version,
        f.seq
    FROM facts AS f
    ORDER BY f.user_id ASC, f.field ASC, f.version DESC
),

written AS (
    INSERT INTO consumer.edits AS known (user_id, field, value, version, seq)
    SELECT
        user_id,
        field,
        value,
        version,
        seq
    FROM newest
    ORDER BY user_id, field
    ON CONFLICT (user_id, field) DO UPDATE
        SET
            value = excluded.value,
            version = excluded.version,
            seq = excluded.seq
        WHERE excluded.version > known.version
),

judged AS (
    SELECT
        f.seq,
        bool_or(
            f.version = n.version
            AND n.version > coalesce(known.version, '')
            AND n.value IS DISTINCT FROM known.value
        ) AS is_applied,
        bool_or(f.version < greatest(n.version, known.version)) AS is_outdone
    FROM facts AS f
    INNER JOIN newest AS n ON f.user_id = n.user_id AND f.field = n.field
    LEFT JOIN consumer.edits AS known ON f.user_id = known.user_id AND f.field = known.field
    GROUP BY f.seq
)

SELECT
    coalesce(array_agg(seq) FILTER (WHERE is_applied), '{}') AS applied,
    coalesce(array_agg(seq) FILTER (WHERE is_outdone AND NOT is_applied), '{}') AS stale
FROM judged;
