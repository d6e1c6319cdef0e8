-- When the newest migration was applied: since then all jobs of this release can run. An empty ledger says now.
SELECT coalesce(max(applied_at_utc) AT TIME ZONE 'UTC', now())
FROM consumer._yoyo_migration;
