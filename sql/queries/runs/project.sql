-- The project of the first page that a run or the poll of recent activity stored: all rows that came by the API are of
-- it. No row: none was stored.
SELECT project_id
FROM (
    SELECT
        project_id,
        begun_at
    FROM consumer.runs
    WHERE calls > 0
    UNION ALL
    SELECT
        project_id,
        begun_at
    FROM consumer.activity
) AS filled
ORDER BY begun_at
LIMIT 1;
