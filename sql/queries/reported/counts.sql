-- What all processes together counted in each whole step of a time: deliveries stored, done, and dead.
SELECT
    date_bin(%(step)b::interval, r.at, timestamptz '2000-01-01 00:00:00+00') AS at,
    coalesce(sum(c.value::numeric) FILTER (
        WHERE c.key IN ('deliveries_received:stored', 'deliveries_received:dead')
    ), 0)::bigint AS stored,
    coalesce(sum(c.value::numeric) FILTER (WHERE c.key LIKE 'deliveries_applied:%%'), 0)::bigint AS applied,
    coalesce(sum(c.value::numeric) FILTER (
        WHERE c.key IN ('deliveries_received:dead', 'deliveries_buried')
    ), 0)::bigint AS died
FROM consumer_masked.reports AS r
LEFT JOIN LATERAL jsonb_each_text(r.counters) AS c ON TRUE
WHERE
    r.at >= date_bin(%(step)b::interval, now() - %(time)b::interval, timestamptz '2000-01-01 00:00:00+00')
    AND r.at < date_bin(%(step)b::interval, now(), timestamptz '2000-01-01 00:00:00+00')
GROUP BY 1
ORDER BY 1;
