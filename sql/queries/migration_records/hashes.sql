-- The hash of each migration that was applied or begun, as recorded then.
SELECT
    migration_id,
    content_hash
FROM consumer._yoyo_record;
