-- The slowest of these queries in the mean, as pg_stat_statements counts them since its last reset, in seconds.
SELECT
    name,
    calls,
    total,
    longest,
    total / calls AS mean
FROM consumer_masked.statements()
WHERE name = ANY(%(names)b::text[])
ORDER BY mean DESC, name ASC
LIMIT %(size)b::integer;
