-- Remove the profiles of these users that no delivery tells of, and audit each; then the mirror rows of those of these
-- users that no delivery tells of at all (unsent).
WITH removed AS (
    DELETE FROM identity.profiles AS p
    WHERE
        p.user_id = ANY(%(user_ids)b::uuid[])
        AND NOT EXISTS (
            SELECT FROM identity.stack_user_profiles AS m
            WHERE m.stack_user_id = p.user_id AND m.has_profile AND NOT m.is_removed
        )
    RETURNING p.user_id, p.company_id, identity.image(p) AS before_image
),

unsent AS (
    DELETE FROM identity.stack_user_profiles
    WHERE stack_user_id = ANY(%(unsent)b::uuid[])
)

INSERT INTO identity.profile_audit (
    user_id, company_id, operation, changed_fields, previous_values, new_values, source, message_id, seq
)
SELECT
    user_id,
    company_id,
    'rebuilt',
    identity.changed_fields(before_image, '{}'),
    before_image,
    NULL,
    'operator',
    'rebuild',
    0
FROM removed;
