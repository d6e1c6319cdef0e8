-- Suspect the members of listed teams, and their permissions, that the rows hold and the answers lack. Not what became
-- known after the run began, nor what follows from a user that is a suspect itself.
WITH members AS MATERIALIZED (
    SELECT
        cm.company_id,
        cm.user_id,
        l.user_id IS NOT NULL AS is_listed
    FROM identity.company_members AS cm
    LEFT JOIN unnest(%(member_team_ids)b::uuid[], %(member_user_ids)b::uuid[]) AS l (team_id, user_id)
        ON cm.company_id = l.team_id AND cm.user_id = l.user_id
    LEFT JOIN consumer.memberships AS m ON cm.user_id = m.user_id AND cm.company_id = m.company_id
    WHERE
        cm.company_id = ANY(%(team_ids)b::uuid[])
        AND cm.removed_at IS NULL
        AND m.joined_at < %(begun_at)b::timestamptz
        AND m.join_version < consumer.version('reconcile', %(begun_at)b::timestamptz, '')
        AND NOT EXISTS (
            SELECT FROM consumer.suspects AS s
            WHERE
                s.run_id = %(run_id)b::uuid
                AND s.kind = 'undeleted_user'
                AND s.team_id IS NULL
                AND s.user_id = cm.user_id
        )
)

INSERT INTO consumer.suspects (run_id, kind, team_id, user_id, permission_id, asked_at)
SELECT
    %(run_id)b::uuid,
    'extra_membership',
    m.company_id,
    m.user_id,
    NULL::text AS permission_id,
    now()
FROM members AS m
WHERE NOT m.is_listed
UNION ALL
SELECT
    %(run_id)b::uuid,
    'extra_permission',
    m.company_id,
    m.user_id,
    p.permission_id,
    now()
FROM members AS m
INNER JOIN consumer.team_permissions AS p ON m.user_id = p.user_id AND m.company_id = p.company_id
WHERE
    m.is_listed
    AND p.is_present
    AND p.version < consumer.version('reconcile', %(begun_at)b::timestamptz, '')
    AND NOT EXISTS (
        SELECT
        FROM unnest(
            %(permission_team_ids)b::uuid[], %(permission_user_ids)b::uuid[], %(permission_ids)b::text[]
        ) AS l (team_id, user_id, permission_id)
        WHERE l.team_id = p.company_id AND l.user_id = p.user_id AND l.permission_id = p.permission_id
    )
ON CONFLICT DO NOTHING;
