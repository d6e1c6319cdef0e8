-- The ids of the migrations that this database has.
SELECT migration_id
FROM consumer._yoyo_migration
ORDER BY migration_id;
