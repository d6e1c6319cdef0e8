-- The profile of a user, as JSON.
SELECT to_jsonb(p)::text AS document
FROM identity.profiles AS p
WHERE p.user_id = %(user_id)b::uuid;
