-- Those of the listed permissions that are stored as present.
SELECT
    l.team_id,
    l.user_id,
    l.permission_id
FROM unnest(
    %(team_ids)b::uuid[], %(user_ids)b::uuid[], %(permission_ids)b::text[]
) AS l (team_id, user_id, permission_id)
INNER JOIN consumer.team_permissions AS p
    ON l.user_id = p.user_id AND l.team_id = p.company_id AND l.permission_id = p.permission_id
WHERE p.is_present;
