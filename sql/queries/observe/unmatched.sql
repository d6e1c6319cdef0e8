-- What receivers counted within this time: the signatures that fitted no secret, and the deliveries that were accepted.
-- How many fitted none in the busiest span of this length since a delivery was accepted: only such a one tells that the
-- secret is right. And in the calmest span before, so that no fault becomes usual while it lasts; null while fewer such
-- spans are known.
WITH counted AS (
    SELECT
        at,
        greatest(floor(extract(EPOCH FROM now() - at) / extract(EPOCH FROM %(time)b::interval)), 0) AS span,
        coalesce((counters ->> 'deliveries_refused:no_match')::numeric, 0) AS unmatched,
        coalesce((counters ->> 'deliveries_received:stored')::numeric, 0)
        + coalesce((counters ->> 'deliveries_received:duplicate')::numeric, 0)
        + coalesce((counters ->> 'deliveries_received:dead')::numeric, 0) AS accepted
    FROM consumer.reports
    WHERE at > now() - %(kept)b::interval AND duty = 'receiver'
),

spans AS (
    SELECT
        span,
        sum(unmatched) AS unmatched,
        sum(accepted) AS accepted,
        -- The oldest one has lost a part of its reports, or began before there were any.
        now() - (span + 1) * %(time)b::interval >= (SELECT min(c.at) FROM counted AS c) AS is_whole
    FROM counted
    GROUP BY span
),

last_accepted AS (
    SELECT coalesce(min(span), 'infinity') AS span
    FROM spans
    WHERE accepted > 0
)

SELECT
    coalesce(sum(unmatched) FILTER (WHERE span = 0), 0)::bigint AS unmatched,
    coalesce(sum(accepted) FILTER (WHERE span = 0), 0)::bigint AS accepted,
    coalesce(max(unmatched) FILTER (WHERE span < (SELECT l.span FROM last_accepted AS l)), 0)::bigint AS since_accepted,
    (CASE
        WHEN count(*) FILTER (WHERE span > 0 AND is_whole) >= %(spans_min)b::integer
            THEN min(unmatched) FILTER (WHERE span > 0 AND is_whole)
    END)::bigint AS calmest
FROM spans;
