-- The failures of the deliveries about a user, as JSON.
SELECT to_jsonb(f)::text AS document
FROM consumer.failures AS f
INNER JOIN consumer.outbox AS o ON f.seq = o.seq
WHERE o.user_id = %(user_id)b::uuid
ORDER BY f.seq;
