-- Write what is told beside the last report of this process; no row returned: it has not reported yet, so nothing is written.
INSERT INTO consumer.reports (
    process_id, duty, host, pid, release, clock_skew_seconds, next_at, paused_by, findings
)
SELECT
    process_id,
    duty,
    host,
    pid,
    release,
    clock_skew_seconds,
    next_at,
    paused_by,
    %(findings)b::jsonb AS findings
FROM consumer.reports
WHERE process_id = %(process_id)b::uuid
ORDER BY at DESC
LIMIT 1
RETURNING process_id;
