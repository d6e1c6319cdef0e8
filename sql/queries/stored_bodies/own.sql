-- These deliveries, with their bodies.
SELECT
    o.seq,
    o.source,
    o.message_id,
    o.body
FROM consumer.outbox AS o
WHERE o.seq = ANY(%(seqs)b::bigint[])
ORDER BY o.seq;
