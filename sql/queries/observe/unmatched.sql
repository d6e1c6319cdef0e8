-- The signatures that fitted no secret within this time, and in an average span of this length before it.
WITH reported AS (
    SELECT
        at,
        (counters ->> 'deliveries_refused:no_match')::bigint AS unmatched
    FROM consumer.reports
    WHERE at > now() - %(kept)b::interval
)

SELECT
    coalesce(sum(unmatched) FILTER (WHERE at > now() - %(time)b::interval), 0)::bigint AS unmatched,
    (
        coalesce(sum(unmatched) FILTER (WHERE at <= now() - %(time)b::interval), 0)
        / greatest(extract(EPOCH FROM now() - min(at)) / extract(EPOCH FROM %(time)b::interval) - 1, 1)
    )::double precision AS usual
FROM reported;
