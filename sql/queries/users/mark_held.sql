-- Mark users that are erased, or deleted under `hard`, as held if they still have a profile or membership, because an
-- application's constraint or trigger holds it: from now on they are anonymised, not removed.
UPDATE identity.stack_user_profiles AS m
SET is_held = TRUE
FROM consumer.settings AS s
WHERE
    m.stack_user_id = ANY(%(user_ids)b::uuid[])
    AND m.deleted_at IS NOT NULL
    AND NOT m.is_held
    AND (s.delete_policy = 'hard' OR m.is_erased OR m.is_removed)
    AND (
        EXISTS (
            SELECT FROM identity.profiles AS p
            WHERE p.user_id = m.stack_user_id
        )
        OR EXISTS (
            SELECT FROM identity.company_members AS b
            WHERE b.user_id = m.stack_user_id
        )
    );
