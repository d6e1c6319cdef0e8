-- Fold the claimed deliveries about permissions into consumer.team_permissions: for each user, team and permission the
-- newest one wins.
-- Return one row: deliveries that changed a stored fact, those that a newer one supersedes, and the users concerned.
-- The users are locked by their mirror rows, so the stored facts cannot change meanwhile.
WITH facts AS MATERIALIZED (
    SELECT
        o.seq,
        o.user_id,
        o.team_id AS company_id,
        (convert_from(coalesce(o.reduced, o.body), 'UTF8')::jsonb #>> '{data,id}') COLLATE "C" AS permission_id,
        consumer.version(o.source, o.occurred_at, o.message_id) COLLATE "C" AS version,
        o.event_type = 'team_permission.created' AS is_present
    FROM consumer.outbox AS o
    WHERE o.seq = ANY(%(seqs)b::bigint[])
),

newest AS MATERIALIZED (
    SELECT DISTINCT ON (f.user_id, f.company_id, f.permission_id)
        f.seq,
        f.user_id,
        f.company_id,
        f.permission_id,
        f.version,
        f.is_present
    FROM facts AS f
    ORDER BY f.user_id ASC, f.company_id ASC, f.permission_id ASC, f.version DESC
),

written AS (
    INSERT INTO consumer.team_permissions AS known (user_id, company_id, permission_id, version, is_present)
    SELECT
        user_id,
        company_id,
        permission_id,
        version,
        is_present
    FROM newest
    ORDER BY user_id, company_id, permission_id
    ON CONFLICT (user_id, company_id, permission_id) DO UPDATE
        SET
            version = excluded.version,
            is_present = excluded.is_present
        WHERE excluded.version > known.version
    RETURNING known.user_id, known.version
),

judged AS (
    SELECT
        f.seq,
        f.user_id,
        w.version IS NOT NULL AS is_applied,
        f.version < greatest(n.version, known.version) AS is_outdone
    FROM facts AS f
    INNER JOIN newest AS n
        ON f.user_id = n.user_id AND f.company_id = n.company_id AND f.permission_id = n.permission_id
    LEFT JOIN consumer.team_permissions AS known
        ON f.user_id = known.user_id AND f.company_id = known.company_id AND f.permission_id = known.permission_id
    LEFT JOIN written AS w ON f.user_id = w.user_id AND f.version = w.version
)

SELECT
    coalesce(array_agg(seq) FILTER (WHERE is_applied), '{}') AS applied,
    coalesce(array_agg(seq) FILTER (WHERE is_outdone AND NOT is_applied), '{}') AS stale,
    coalesce(array_agg(DISTINCT user_id) FILTER (WHERE is_applied), '{}') AS user_ids
FROM judged;
