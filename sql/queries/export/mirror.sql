-- The mirror row of a user, as JSON.
SELECT to_jsonb(m)::text AS document
FROM identity.stack_user_profiles AS m
WHERE m.stack_user_id = %(user_id)b::uuid;
