-- By reason, how many requests were answered without storing anything, within a time and in an average one of the hour
-- before.
SELECT
    split_part(c.key, ':', 2) AS reason,
    coalesce(sum(c.value::numeric) FILTER (WHERE r.at > now() - %(time)b::interval), 0)::bigint AS requests,
    coalesce(sum(c.value::numeric) FILTER (WHERE r.at <= now() - %(time)b::interval), 0)
    * extract(EPOCH FROM %(time)b::interval)::double precision / 3600 AS usual
FROM consumer_masked.reports AS r
CROSS JOIN LATERAL jsonb_each_text(r.counters) AS c
WHERE
    r.at > now() - %(time)b::interval - interval '1 hour'
    AND (c.key = 'deliveries_received:duplicate' OR c.key LIKE 'deliveries_refused:%%')
GROUP BY 1;
