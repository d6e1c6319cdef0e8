-- The stored bodies of these deliveries.
SELECT
    o.seq,
    o.user_id,
    o.body
FROM consumer.outbox AS o
WHERE o.seq = ANY(%(seqs)b::bigint[])
ORDER BY o.seq;
