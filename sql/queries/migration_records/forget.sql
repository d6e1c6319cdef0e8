-- Forget a migration that was rolled back.
DELETE FROM consumer._yoyo_record
WHERE migration_id = %(migration_id)b::text;
