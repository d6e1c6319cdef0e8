-- Those of these deliveries that are stored with a reduced body, and both bodies.
SELECT
    seq,
    source,
    body,
    reduced
FROM consumer.outbox
WHERE seq = ANY(%(seqs)b::bigint[]) AND reduced IS NOT NULL
ORDER BY seq;
