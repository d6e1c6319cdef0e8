-- Count listed permissions that are not stored as present; neither of users and teams that are deleted here, nor those
-- with a newer removal.
SELECT
    'missing_permission' AS kind,
    count(*) AS found
FROM unnest(
    %(team_ids)b::uuid[], %(user_ids)b::uuid[], %(permission_ids)b::text[]
) AS l (team_id, user_id, permission_id)
LEFT JOIN consumer.team_permissions AS p
    ON l.user_id = p.user_id AND l.team_id = p.company_id AND l.permission_id = p.permission_id
LEFT JOIN identity.stack_user_profiles AS m ON l.user_id = m.stack_user_id
LEFT JOIN identity.companies AS c ON l.team_id = c.id
WHERE
    m.deleted_at IS NULL
    AND c.deleted_at IS NULL
    AND coalesce(p.version < consumer.version('reconcile', %(occurred_at)b::timestamptz, ''), TRUE)
HAVING count(*) > 0;
