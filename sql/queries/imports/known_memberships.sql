-- Those of the listed memberships that an explicit join tells of, and no later removal.
SELECT
    l.team_id,
    l.user_id
FROM unnest(%(team_ids)b::uuid[], %(user_ids)b::uuid[]) AS l (team_id, user_id)
INNER JOIN consumer.memberships AS m ON l.user_id = m.user_id AND l.team_id = m.company_id
WHERE m.join_version > m.removal_version;
