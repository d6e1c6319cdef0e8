-- The newest edits of a user's profile, as JSON.
SELECT to_jsonb(e)::text AS document
FROM consumer.edits AS e
WHERE e.user_id = %(user_id)b::uuid
ORDER BY e.field;
