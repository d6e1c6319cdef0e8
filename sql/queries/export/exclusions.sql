-- The exclusions of deliveries about a user, as JSON.
SELECT to_jsonb(e)::text AS document
FROM consumer.exclusions AS e
INNER JOIN consumer.outbox AS o ON e.seq = o.seq
WHERE o.user_id = %(user_id)b::uuid
ORDER BY e.seq;
