-- The dead ones of these deliveries, with the columns that decide whether they can be applied now; none is locked.
SELECT
    f.seq,
    o.source,
    o.event_type,
    o.user_id,
    o.team_id,
    f.error_code,
    o.body,
    o.reduced
FROM consumer.failures AS f
INNER JOIN consumer.outbox AS o ON f.seq = o.seq
WHERE f.seq = ANY(%(seqs)b::bigint[]) AND f.state = 'dead'
ORDER BY f.seq;
