-- Count listed memberships that no row shows as active by kind: the one of a team's creator, of which Stack sends no
-- event, and the others. The creator is the first member of a team in which nobody is known. Neither of users and teams
-- that are deleted here, nor those with a newer removal.
WITH missing AS MATERIALIZED (
    SELECT
        l.team_id,
        l.user_id
    FROM unnest(%(team_ids)b::uuid[], %(user_ids)b::uuid[]) AS l (team_id, user_id)
    LEFT JOIN identity.company_members AS cm ON l.team_id = cm.company_id AND l.user_id = cm.user_id
    LEFT JOIN consumer.memberships AS f ON l.user_id = f.user_id AND l.team_id = f.company_id
    LEFT JOIN identity.stack_user_profiles AS m ON l.user_id = m.stack_user_id
    LEFT JOIN identity.companies AS c ON l.team_id = c.id
    WHERE
        (cm.user_id IS NULL OR cm.removed_at IS NOT NULL)
        AND m.deleted_at IS NULL
        AND c.deleted_at IS NULL
        AND coalesce(f.removal_version < consumer.version('reconcile', %(occurred_at)b::timestamptz, ''), TRUE)
),

judged AS (
    SELECT
        CASE
            WHEN
                row_number() OVER (PARTITION BY m.team_id ORDER BY m.user_id) = 1
                AND NOT EXISTS (
                    SELECT FROM identity.company_members AS cm
                    WHERE cm.company_id = m.team_id
                )
                THEN 'missing_creator'
            ELSE 'missing_membership'
        END AS kind
    FROM missing AS m
)

SELECT
    j.kind,
    count(*) AS found
FROM judged AS j
GROUP BY j.kind;
