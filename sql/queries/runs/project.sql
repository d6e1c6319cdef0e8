-- The project of the first run that stored a page: all rows that came by the API are of it. No row: none did.
SELECT project_id
FROM consumer.runs
WHERE calls > 0
ORDER BY begun_at
LIMIT 1;
