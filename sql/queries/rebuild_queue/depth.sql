-- How much waits in each stage, and how much of that is not due because it failed, with one of the reasons.
SELECT
    stage,
    count(*) AS waiting,
    count(*) FILTER (WHERE due_at > now()) AS postponed,
    max(error) AS error
FROM consumer.rebuild
GROUP BY stage
ORDER BY stage;
