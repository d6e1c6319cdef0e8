-- Keep settings, fence and migrations as they are until this transaction ends, and return the latter two.
SELECT
    oldest_release,
    migration_ids
FROM consumer.begin_work();
