-- Remove the memberships of these users that no delivery tells of.
DELETE FROM identity.company_members AS b
WHERE
    b.user_id = ANY(%(user_ids)b::uuid[])
    AND (
        NOT EXISTS (
            SELECT FROM consumer.memberships AS f
            WHERE f.user_id = b.user_id AND f.company_id = b.company_id
        )
        OR EXISTS (
            SELECT FROM identity.stack_user_profiles AS m
            WHERE m.stack_user_id = b.user_id AND m.is_removed
        )
    );
