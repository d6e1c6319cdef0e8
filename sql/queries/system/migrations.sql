-- The migrations that the database has, and when it got each; the newest first.
SELECT
    migration_id AS id,
    applied_at_utc AT TIME ZONE 'UTC' AS applied_at
FROM consumer_masked.migrations
ORDER BY migration_id DESC;
