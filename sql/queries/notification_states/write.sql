-- Write what is told as another report of this process, and return a row; none before its first report.
INSERT INTO consumer.reports (
    process_id, duty, host, pid, release, clock_skew_seconds, next_at, sources, paused_by, findings
)
SELECT
    process_id,
    duty,
    host,
    pid,
    release,
    clock_skew_seconds,
    next_at,
    sources,
    paused_by,
    %(findings)b::jsonb AS findings
FROM consumer.reports
WHERE process_id = %(process_id)b::uuid
ORDER BY at DESC
LIMIT 1
RETURNING process_id;
