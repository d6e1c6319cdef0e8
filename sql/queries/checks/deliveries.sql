-- Count the deliveries by state and by outcome or error.
SELECT
    state,
    coalesce(outcome, error_code) AS outcome,
    count(*) AS deliveries
FROM consumer.deliveries
GROUP BY 1, 2
ORDER BY 1 DESC, 3 DESC;
