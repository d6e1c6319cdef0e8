-- What receivers counted: the signatures that fitted no secret, and the deliveries that were accepted.
-- Of the former, how many lay within this time at most, lately, and since a delivery was accepted: only such a one
-- tells that the secret is right. The latter only if none was accepted within this time: between two of them a stranger
-- may try. Each report with some ends such a time, so that none is split, whenever one looks.
WITH counted AS (
    SELECT
        at,
        coalesce((counters ->> 'deliveries_refused:no_match')::numeric, 0) AS unmatched,
        coalesce((counters ->> 'deliveries_received:stored')::numeric, 0)
        + coalesce((counters ->> 'deliveries_received:duplicate')::numeric, 0)
        + coalesce((counters ->> 'deliveries_received:dead')::numeric, 0) AS accepted
    FROM consumer.reports
    WHERE at > now() - %(kept)b::interval AND duty = 'receiver'
),

accepted AS (
    SELECT
        coalesce(max(at) FILTER (WHERE accepted > 0), '-infinity') AS last_at,
        coalesce(sum(accepted) FILTER (WHERE at > now() - %(lately)b::interval), 0) AS lately
    FROM counted
),

within AS (
    SELECT
        c.at,
        sum(c.unmatched) OVER span AS unmatched,
        sum(c.unmatched) FILTER (WHERE c.at > a.last_at) OVER span AS since_accepted
    FROM counted AS c
    CROSS JOIN accepted AS a
    WHERE c.unmatched > 0
    WINDOW span AS (
        ORDER BY extract(EPOCH FROM c.at) / extract(EPOCH FROM %(time)b::interval)
        RANGE BETWEEN 1 PRECEDING AND CURRENT ROW
    )
)

SELECT
    coalesce(max(w.unmatched) FILTER (WHERE w.at > now() - %(lately)b::interval), 0)::bigint AS unmatched,
    a.lately::bigint AS accepted,
    coalesce(max(w.since_accepted) FILTER (WHERE a.last_at <= now() - %(time)b::interval), 0)::bigint AS since_accepted
FROM accepted AS a
LEFT JOIN within AS w ON TRUE
GROUP BY a.last_at, a.lately;
