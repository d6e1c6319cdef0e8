-- The numbers of all deliveries about a user.
SELECT o.seq
FROM consumer.outbox AS o
WHERE o.user_id = %(user_id)b::uuid
ORDER BY o.seq;
