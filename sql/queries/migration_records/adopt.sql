-- Record the hash of each applied migration that has none: a release before the hashes applied it.
INSERT INTO consumer._yoyo_record (migration_id, content_hash)
SELECT
    f.migration_id,
    f.content_hash
FROM unnest(%(ids)b::text[], %(hashes)b::text[]) AS f (migration_id, content_hash)
INNER JOIN consumer._yoyo_migration AS a ON f.migration_id = a.migration_id
ON CONFLICT (migration_id) DO NOTHING;
