-- Count the receivers and workers that are connected to this database; a pooler hides them.
SELECT
    application_name,
    count(*)::integer AS sessions
FROM pg_stat_activity
WHERE datname = current_database() AND application_name = ANY(%(names)b::text[])
GROUP BY application_name
ORDER BY application_name;
