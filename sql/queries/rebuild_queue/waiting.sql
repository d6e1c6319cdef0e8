-- How much waits in each stage; asked at each scrape of the metrics, so by the primary key alone.
SELECT
    stage,
    count(*) AS waiting
FROM consumer.rebuild
GROUP BY stage;
