-- How many rows of each table hold a user's data.
SELECT
    'identity.stack_user_profiles' AS relation,
    count(*) AS row_count
FROM identity.stack_user_profiles AS m
WHERE
    m.stack_user_id = %(user_id)b::uuid
    AND num_nonnulls(
        m.stack_display_name,
        m.stack_primary_email,
        m.stack_profile_image_url,
        m.stack_metadata,
        m.signed_up_at,
        m.source_role,
        m.source_department
    ) > 0
UNION ALL
SELECT
    'identity.profiles' AS relation,
    count(*) AS row_count
FROM identity.profiles AS p
WHERE
    p.user_id = %(user_id)b::uuid
    AND (p.full_name <> 'Deleted user' OR p.email IS NOT NULL OR p.avatar_url IS NOT NULL)
UNION ALL
SELECT
    'identity.company_members' AS relation,
    count(*) AS row_count
FROM identity.company_members AS b
WHERE b.user_id = %(user_id)b::uuid
UNION ALL
SELECT
    'identity.profile_audit' AS relation,
    count(*) AS row_count
FROM identity.profile_audit AS a
WHERE
    a.user_id = %(user_id)b::uuid
    AND (
        coalesce(a.previous_values, '{}') || coalesce(a.new_values, '{}')
        ?| ARRAY['full_name', 'email', 'email_verified', 'avatar_url']
        OR a.edited_by IS NOT NULL
        OR a.reason IS NOT NULL
    )
UNION ALL
SELECT
    'consumer.edits' AS relation,
    count(*) AS row_count
FROM consumer.edits AS e
WHERE e.user_id = %(user_id)b::uuid
UNION ALL
SELECT
    'consumer.actions' AS relation,
    count(*) AS row_count
FROM consumer.actions AS c
WHERE
    c.reason IS NOT NULL
    AND (c.filter ->> 'user_id' = %(user_id)b::uuid::text OR c.filter -> 'user_ids' ? %(user_id)b::uuid::text);
