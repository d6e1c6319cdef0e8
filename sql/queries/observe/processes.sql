-- Each process that reported within this time: its first report in it, and what the last one says.
WITH reported AS (
    SELECT
        process_id,
        min(at) AS first_at,
        max(at) AS last_at
    FROM consumer.reports
    WHERE at > now() - %(seen_time)b::interval
    GROUP BY process_id
)

SELECT
    r.process_id,
    r.duty,
    r.host,
    r.pid,
    r.release,
    reported.first_at,
    r.at AS last_at,
    r.next_at,
    r.sources,
    r.clock_skew_seconds,
    r.paused_by
FROM reported
INNER JOIN consumer.reports AS r ON reported.last_at = r.at AND reported.process_id = r.process_id
ORDER BY r.duty, r.host, reported.first_at;
