-- When the first migration was applied: since then deliveries can be stored.
SELECT min(applied_at_utc) AT TIME ZONE 'UTC'
FROM consumer._yoyo_migration;
