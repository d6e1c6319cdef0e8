-- The actions that were aimed at a user, as JSON.
SELECT to_jsonb(a)::text AS document
FROM consumer.actions AS a
WHERE a.filter ->> 'user_id' = %(user_id)b::uuid::text OR a.filter -> 'user_ids' ? %(user_id)b::uuid::text
ORDER BY a.at, a.id;
