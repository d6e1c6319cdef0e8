-- When the first migration was applied: since then deliveries can be stored. An empty ledger says now.
SELECT coalesce(min(applied_at_utc) AT TIME ZONE 'UTC', now())
FROM consumer._yoyo_migration;
