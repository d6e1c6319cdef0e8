-- Take the marks of forgotten users from those of these users that live: reconcile was wrong about them.
UPDATE identity.stack_user_profiles
SET
    is_forgotten = FALSE,
    is_held = FALSE,
    is_removed = FALSE
WHERE
    stack_user_id = ANY(%(user_ids)b::uuid[])
    AND deleted_at IS NULL
    AND (is_forgotten OR is_held OR is_removed);
