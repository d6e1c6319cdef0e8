-- By source, how many deliveries the last full hour brought, and the same hour of the last four weeks on average; null
-- where none of these weeks is known.
WITH sources AS (
    SELECT
        source,
        min(hour) AS first_hour
    FROM consumer_masked.hours
    GROUP BY source
)

SELECT
    s.source,
    coalesce((
        SELECT h.n FROM consumer_masked.hours AS h
        WHERE h.source = s.source AND h.hour = date_trunc('hour', now(), 'UTC') - interval '1 hour'
    ), 0)::bigint AS last_hour,
    (
        SELECT avg(coalesce(h.n, 0))::double precision
        FROM generate_series(1, 4) AS k (week)
        LEFT JOIN consumer_masked.hours AS h
            ON
                h.source = s.source
                AND h.hour = date_trunc('hour', now(), 'UTC') - interval '1 hour' - k.week * interval '168 hours'
        WHERE s.first_hour <= date_trunc('hour', now(), 'UTC') - interval '1 hour' - k.week * interval '168 hours'
    ) AS usual
FROM sources AS s;
