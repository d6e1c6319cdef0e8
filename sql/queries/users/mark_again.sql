-- Give those of these users that are deleted the marks from before their rows were made anew: that a user was forgotten
-- is a fact of no delivery. The others live: reconcile was wrong about them, or an erasure was discarded.
UPDATE identity.stack_user_profiles AS m
SET
    is_forgotten = k.is_forgotten,
    is_held = k.is_held,
    is_removed = k.is_removed
FROM unnest(
    %(user_ids)b::uuid[], %(forgotten)b::boolean[], %(held)b::boolean[], %(removed)b::boolean[]
) AS k (user_id, is_forgotten, is_held, is_removed)
WHERE m.stack_user_id = k.user_id AND m.deleted_at IS NOT NULL;
