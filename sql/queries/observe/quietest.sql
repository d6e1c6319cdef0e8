-- For each source with four weeks of history before its silence since these times: how many deliveries the quietest of
-- these weeks brought in the same hours, and the longest silence in them, by their hours. A silence of more than a week
-- is compared with each week as often as it covers one, because no week may be a part of the silence itself. A week is
-- 168 hours, whatever the clocks of a country do.
WITH silences AS (
    SELECT
        s.source,
        s.since,
        floor(extract(EPOCH FROM now() - s.since) / 604800)::integer AS whole_weeks,
        (
            SELECT max(h.hour) FROM consumer.hours AS h
            WHERE h.source = s.source AND h.hour <= s.since - 4 * interval '168 hours'
        ) AS known_since
    FROM unnest(%(sources)b::text[], %(since)b::timestamptz[]) AS s (source, since)
),

weeks AS (
    SELECT
        s.source,
        s.whole_weeks,
        s.since - k.week * interval '168 hours' AS since,
        now() - (k.week + s.whole_weeks) * interval '168 hours' AS until
    FROM silences AS s
    CROSS JOIN generate_series(1, 4) AS k (week)
    WHERE s.known_since IS NOT NULL
),

brought AS (
    -- Of an hour that a week or a silence begins or ends in, the share that it covers.
    SELECT
        w.source,
        coalesce(sum(h.n * (
            w.whole_weeks * extract(EPOCH FROM
                least(h.hour + interval '1 hour', w.since + interval '168 hours') - greatest(h.hour, w.since)
            )
            + greatest(extract(EPOCH FROM least(h.hour + interval '1 hour', w.until) - greatest(h.hour, w.since)), 0)
        ) / 3600), 0)::double precision AS deliveries
    FROM weeks AS w
    LEFT JOIN consumer.hours AS h
        ON
            w.source = h.source
            AND w.since - interval '1 hour' < h.hour
            AND w.since + interval '168 hours' > h.hour
    GROUP BY w.source, w.since
),

pauses AS (
    -- From the beginning of an hour with deliveries to the end of the next one: at least as long as the silence was.
    SELECT
        s.source,
        lead(h.hour + interval '1 hour', 1, s.since) OVER (PARTITION BY s.source ORDER BY h.hour) - h.hour AS pause
    FROM silences AS s
    INNER JOIN consumer.hours AS h ON s.source = h.source AND s.known_since <= h.hour AND s.since > h.hour
)

SELECT
    source,
    (
        SELECT min(b.deliveries) FROM brought AS b
        WHERE b.source = s.source
    ) AS deliveries,
    (
        SELECT max(p.pause) FROM pauses AS p
        WHERE p.source = s.source
    ) AS longest_silence
FROM silences AS s
WHERE known_since IS NOT NULL;
