-- Return what was told, as it was written last, and how long ago; no row: nothing, since reports were removed last.
-- By its number, because the order of the rows' times is that in which their transactions began.
SELECT
    findings,
    now() - at AS age
FROM consumer.reports
WHERE findings IS NOT NULL
ORDER BY (findings ->> 'number')::bigint DESC
LIMIT 1;
