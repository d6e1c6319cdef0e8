-- The last run of each job that has begun at least once.
SELECT
    job,
    started_at,
    ended_at,
    due_at,
    counts,
    remark,
    error
FROM consumer.maintenance
ORDER BY job;
