-- What receivers counted: the signatures that fitted no secret, and the deliveries that were accepted.
-- Of the former, how many lay within this time at most: lately; and since a delivery was accepted, because only such a
-- one tells that the secret is right. Unless one was accepted within this time: between two of them a stranger has tries.
-- Each report ends such a time, so that none is split, whenever one looks.
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

last_accepted AS (
    SELECT coalesce(max(at), '-infinity') AS at
    FROM counted
    WHERE accepted > 0
),

within AS (
    SELECT
        c.at,
        c.accepted,
        l.at <= now() - %(time)b::interval AS is_none_accepted,
        sum(c.unmatched) OVER span AS unmatched,
        sum(c.unmatched) FILTER (WHERE c.at > l.at) OVER span AS since_accepted
    FROM counted AS c
    CROSS JOIN last_accepted AS l
    WINDOW span AS (ORDER BY c.at RANGE BETWEEN %(time)b::interval PRECEDING AND CURRENT ROW)
)

SELECT
    coalesce(max(unmatched) FILTER (WHERE at > now() - %(lately)b::interval), 0)::bigint AS unmatched,
    coalesce(sum(accepted) FILTER (WHERE at > now() - %(lately)b::interval), 0)::bigint AS accepted,
    coalesce(max(since_accepted) FILTER (WHERE is_none_accepted), 0)::bigint AS since_accepted
FROM within;
