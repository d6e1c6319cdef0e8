-- Give rows that were made anew the counters from before: nothing was heard of these users.
UPDATE identity.stack_user_profiles AS m
SET
    sync_version = k.sync_version,
    last_synced_at = k.last_synced_at
FROM unnest(
    %(user_ids)b::uuid[], %(sync_versions)b::bigint[], %(synced)b::timestamptz[]
) AS k (user_id, sync_version, last_synced_at)
WHERE m.stack_user_id = k.user_id;
