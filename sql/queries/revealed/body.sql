-- The signed bytes of one delivery.
SELECT body
FROM consumer.outbox
WHERE seq = %(seq)b::bigint;
