-- The facts about a user in the teams, as JSON.
SELECT to_jsonb(f)::text AS document
FROM consumer.memberships AS f
WHERE f.user_id = %(user_id)b::uuid
ORDER BY f.company_id;
