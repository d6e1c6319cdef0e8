-- The dead ones of these deliveries, as a worker claims them after a retry; none is locked.
SELECT
    f.seq,
    o.source,
    o.message_id,
    o.event_type,
    o.user_id,
    o.team_id,
    TRUE AS has_failed,
    0 AS attempts,
    f.seq = ANY((SELECT consumer.pruned_repeats(%(seqs)b::bigint[]))::bigint[]) AS is_pruned
FROM consumer.failures AS f
INNER JOIN consumer.outbox AS o ON f.seq = o.seq
WHERE f.seq = ANY(%(seqs)b::bigint[]) AND f.state = 'dead'
ORDER BY f.seq;
