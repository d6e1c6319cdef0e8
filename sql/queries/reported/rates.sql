-- What each process counted in its last minute: deliveries stored and done.
SELECT
    r.process_id,
    coalesce(sum(c.value::numeric) FILTER (
        WHERE c.key IN ('deliveries_received:stored', 'deliveries_received:dead')
    ), 0)::bigint AS stored,
    coalesce(sum(c.value::numeric) FILTER (WHERE c.key LIKE 'deliveries_applied:%%'), 0)::bigint AS applied
FROM consumer_masked.reports AS r
LEFT JOIN LATERAL jsonb_each_text(r.counters) AS c ON TRUE
WHERE r.at > now() - interval '1 minute'
GROUP BY r.process_id;
