-- Fold the claimed deliveries about memberships into consumer.memberships: for each user and team the first join, the
-- last explicit join, the last removal, and whether Stack named the team as the user's selected one.
-- Return one row: deliveries that changed a stored fact, those that a newer one supersedes, and the users concerned.
-- The users are locked by their mirror rows, so the stored facts cannot change meanwhile.
WITH delivered AS MATERIALIZED (
    SELECT
        o.seq,
        o.user_id,
        coalesce(n.company_id, o.team_id) AS company_id,
        o.event_type,
        o.occurred_at,
        consumer.version(o.source, o.occurred_at, o.message_id) AS version
    FROM consumer.outbox AS o
    LEFT JOIN unnest(%(selecting)b::bigint[], %(selected)b::uuid[]) AS n (seq, company_id) ON o.seq = n.seq
    WHERE o.seq = ANY(%(seqs)b::bigint[])
),

facts AS MATERIALIZED (
    SELECT
        d.seq,
        d.user_id,
        d.company_id,
        CASE WHEN d.event_type <> 'team_membership.deleted' THEN d.occurred_at END AS joined_at,
        CASE WHEN d.event_type = 'team_membership.created' THEN d.version ELSE '' END COLLATE "C" AS join_version,
        CASE WHEN d.event_type = 'team_membership.deleted' THEN d.version ELSE '' END COLLATE "C" AS removal_version,
        CASE WHEN d.event_type = 'team_membership.deleted' THEN d.occurred_at END AS removed_at,
        d.event_type NOT LIKE 'team_membership.%%' AS is_implied
    FROM delivered AS d
),

merged AS MATERIALIZED (
    SELECT
        f.user_id,
        f.company_id,
        least(min(f.joined_at), min(known.joined_at)) AS joined_at,
        greatest(max(f.join_version), max(known.join_version)) AS join_version,
        greatest(max(f.removal_version), max(known.removal_version)) AS removal_version,
        greatest(max(f.removed_at), max(known.removed_at)) AS removed_at,
        bool_or(f.is_implied OR coalesce(known.is_implied, FALSE)) AS is_implied
    FROM facts AS f
    LEFT JOIN consumer.memberships AS known ON f.user_id = known.user_id AND f.company_id = known.company_id
    GROUP BY f.user_id, f.company_id
),

written AS (
    INSERT INTO consumer.memberships AS known (
        user_id, company_id, joined_at, join_version, removal_version, removed_at, is_implied
    )
    SELECT
        user_id,
        company_id,
        joined_at,
        join_version,
        removal_version,
        removed_at,
        is_implied
    FROM merged
    ORDER BY user_id, company_id
    ON CONFLICT (user_id, company_id) DO UPDATE
        SET
            joined_at = excluded.joined_at,
            join_version = excluded.join_version,
            removal_version = excluded.removal_version,
            removed_at = excluded.removed_at,
            is_implied = excluded.is_implied
        WHERE excluded IS DISTINCT FROM known
    RETURNING known.user_id, known.company_id
),

judged AS (
    SELECT
        f.seq,
        f.user_id,
        w.user_id IS NOT NULL
        AND (
            coalesce(f.joined_at = m.joined_at, FALSE)
            OR f.join_version || f.removal_version IN (m.join_version, m.removal_version)
        ) AS is_applied,
        f.join_version <> '' AND f.join_version < m.join_version
        OR f.removal_version <> '' AND f.removal_version < m.removal_version AS is_outdone
    FROM facts AS f
    INNER JOIN merged AS m ON f.user_id = m.user_id AND f.company_id = m.company_id
    LEFT JOIN written AS w ON f.user_id = w.user_id AND f.company_id = w.company_id
)

SELECT
    coalesce(array_agg(seq) FILTER (WHERE is_applied), '{}') AS applied,
    coalesce(array_agg(seq) FILTER (WHERE is_outdone AND NOT is_applied), '{}') AS stale,
    coalesce(array_agg(DISTINCT user_id) FILTER (WHERE is_applied), '{}') AS user_ids
FROM judged;
