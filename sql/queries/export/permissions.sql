-- The facts about a user's permissions, as JSON.
SELECT to_jsonb(t)::text AS document
FROM consumer.team_permissions AS t
WHERE t.user_id = %(user_id)b::uuid
ORDER BY t.company_id, t.permission_id;
