-- The audit of a user, as JSON.
SELECT to_jsonb(a)::text AS document
FROM identity.profile_audit AS a
WHERE a.user_id = %(user_id)b::uuid
ORDER BY a.id;
