-- The profile and the mirror of a user, with the delivery that the mirror's snapshot comes from; one row in any case.
-- scan: the newest complete one of the sender's users
WITH asked AS (SELECT %(user_id)b::uuid AS user_id),

scan AS (
    SELECT
        r.id,
        r.begun_at
    FROM consumer_masked.runs AS r
    WHERE r.finished_at IS NOT NULL
    ORDER BY r.begun_at DESC
    LIMIT 1
)

SELECT
    u.user_id,
    m.stack_user_id IS NOT NULL AS is_known,
    p.user_id IS NOT NULL AS has_profile,
    p.full_name,
    p.email,
    p.email_verified,
    p.avatar_url,
    p.role_type,
    p.department,
    p.is_restricted,
    coalesce(p.company_id, m.company_id) AS company_id,
    c.name AS company_name,
    m.last_active_at,
    m.last_sign_in_at,
    m.last_sign_out_at,
    p.created_at,
    p.updated_at,
    coalesce(p.deleted_at, m.deleted_at) AS deleted_at,
    coalesce(m.is_anonymous, FALSE) AS is_anonymous,
    coalesce(m.is_erased, FALSE) AS is_erased,
    m.source_role,
    m.source_department,
    m.source_company_id,
    named.deleted_at IS NULL AND named.id IS NOT NULL AS is_source_company_active,
    coalesce(m.sync_version, 0) AS sync_version,
    m.occurred_at AS snapshot_at,
    w.seq AS snapshot_seq,
    w.source AS snapshot_source,
    w.event_type AS snapshot_type,
    scan.begun_at AS scanned_at,
    exists(
        SELECT FROM consumer_masked.suspects AS s
        WHERE s.run_id = scan.id AND s.kind = 'undeleted_user' AND s.team_id IS NULL AND s.user_id = u.user_id
    ) AS is_unlisted,
    exists(
        SELECT FROM consumer_masked.rebuild AS r
        WHERE r.id = u.user_id
    ) AS is_rebuild_queued
FROM asked AS u
LEFT JOIN consumer_masked.mirror AS m ON u.user_id = m.stack_user_id
LEFT JOIN consumer_masked.profiles AS p ON u.user_id = p.user_id
LEFT JOIN consumer_masked.companies AS c ON coalesce(p.company_id, m.company_id) = c.id
LEFT JOIN consumer_masked.companies AS named ON m.source_company_id = named.id
LEFT JOIN consumer_masked.outbox AS w
    ON w.seq = (
        SELECT max(o.seq) FROM consumer_masked.outbox AS o
            WHERE
                o.source IN ('stack', 'app', 'backfill', 'reconcile', 'operator')
                AND o.message_id = m.message_id
                AND o.user_id = m.stack_user_id
                AND o.occurred_at = m.occurred_at
        )
LEFT JOIN scan ON TRUE;
