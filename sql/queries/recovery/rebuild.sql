-- How much of the queue of rebuilds waits in each stage, of its first `look_max` rows; how much of that has failed and
-- is not due yet, with one of the reasons.
SELECT
    w.stage,
    count(*) AS waiting,
    count(*) FILTER (WHERE w.due_at > now()) AS postponed,
    max(w.error) AS error
FROM (
    SELECT
        stage,
        due_at,
        error
    FROM consumer_masked.rebuild
    ORDER BY stage, id
    LIMIT %(look_max)b::integer
) AS w
GROUP BY w.stage
ORDER BY w.stage;
