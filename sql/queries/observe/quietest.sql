-- For each source with four weeks of history: of the last four weeks, how many deliveries the quietest brought in the
-- hours of the silence since these times. A week is 168 hours, whatever the clocks of a country do.
WITH weeks AS (
    SELECT
        s.source,
        s.since - k.week * interval '168 hours' AS since,
        now() - k.week * interval '168 hours' AS until
    FROM unnest(%(sources)b::text[], %(since)b::timestamptz[]) AS s (source, since)
    CROSS JOIN generate_series(1, 4) AS k (week)
    WHERE
        EXISTS (
            SELECT FROM consumer.hours AS h
            WHERE h.source = s.source AND h.hour <= s.since - 4 * interval '168 hours'
        )
),

brought AS (
    -- Of an hour that a silence begins or ends in, the share that it covers.
    SELECT
        w.source,
        coalesce(sum(
            h.n * extract(EPOCH FROM least(h.hour + interval '1 hour', w.until) - greatest(h.hour, w.since)) / 3600
        ), 0)::double precision AS deliveries
    FROM weeks AS w
    LEFT JOIN consumer.hours AS h
        ON w.source = h.source AND w.since - interval '1 hour' < h.hour AND w.until > h.hour
    GROUP BY w.source, w.since
)

SELECT
    source,
    min(deliveries) AS deliveries
FROM brought
GROUP BY source;
