-- How much waits in each stage, and how much of that is not due because it failed, with the latest reason.
SELECT
    stage,
    count(*) AS waiting,
    count(*) FILTER (WHERE due_at > now()) AS postponed,
    (array_agg(error ORDER BY due_at DESC) FILTER (WHERE error IS NOT NULL))[1] AS error
FROM consumer.rebuild
GROUP BY stage
ORDER BY stage;
