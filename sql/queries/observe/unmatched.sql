-- What receivers counted within this time: the signatures that fitted no secret, and the deliveries that were accepted.
-- And how many fitted none in the calmest span of this length before it, so that a fault does not become usual while it
-- lasts; null while fewer such spans are known.
WITH counted AS (
    SELECT
        at,
        floor(extract(EPOCH FROM now() - at) / extract(EPOCH FROM %(time)b::interval)) AS span,
        coalesce((counters ->> 'deliveries_refused:no_match')::numeric, 0) AS unmatched,
        coalesce((counters ->> 'deliveries_received:stored')::numeric, 0)
        + coalesce((counters ->> 'deliveries_received:duplicate')::numeric, 0)
        + coalesce((counters ->> 'deliveries_received:dead')::numeric, 0) AS accepted
    FROM consumer.reports
    WHERE at > now() - %(kept)b::interval AND duty = 'receiver'
),

spans AS (
    -- The oldest one has lost a part of its reports, or began before there were any.
    SELECT
        span,
        sum(unmatched) AS unmatched
    FROM counted
    WHERE span >= 1 AND now() - (span + 1) * %(time)b::interval >= (SELECT min(c.at) FROM counted AS c)
    GROUP BY span
)

SELECT
    coalesce(sum(unmatched), 0)::bigint AS unmatched,
    coalesce(sum(accepted), 0)::bigint AS accepted,
    (
        SELECT min(s.unmatched) FROM spans AS s
        HAVING count(*) >= %(spans_min)b::integer
    )::bigint AS calmest
FROM counted
WHERE span < 1;
