-- Whether any row is about this user.
SELECT
    EXISTS (
        SELECT FROM consumer.outbox AS o
        WHERE o.user_id = %(user_id)b::uuid
    )
    OR EXISTS (
        SELECT FROM identity.stack_user_profiles AS m
        WHERE m.stack_user_id = %(user_id)b::uuid
    )
    OR EXISTS (
        SELECT FROM identity.profiles AS p
        WHERE p.user_id = %(user_id)b::uuid
    )
    OR EXISTS (
        SELECT FROM identity.company_members AS b
        WHERE b.user_id = %(user_id)b::uuid
    )
    OR EXISTS (
        SELECT FROM identity.profile_audit AS a
        WHERE a.user_id = %(user_id)b::uuid
    );
