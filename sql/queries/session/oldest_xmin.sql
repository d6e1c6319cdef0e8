-- The age of the oldest open transaction of this database that this login may see, and the clock.
SELECT
    coalesce(extract(EPOCH FROM clock_timestamp() - min(xact_start)), 0)::double precision AS oldest_xmin_seconds,
    clock_timestamp() AS now
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid();
