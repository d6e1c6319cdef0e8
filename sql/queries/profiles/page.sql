-- The next profiles, in the order of the ids, of those that the company in app.company_id sees: at home there, or its
-- guests.
SELECT
    p.user_id,
    p.company_id,
    p.full_name,
    p.email,
    p.email_verified,
    p.avatar_url,
    p.role_type,
    p.department,
    p.is_restricted,
    p.last_active_at,
    p.last_sign_in_at,
    p.last_sign_out_at,
    p.created_at,
    p.updated_at,
    p.deleted_at
FROM identity.profiles AS p
WHERE
    p.company_id = identity.current_company_id()
    AND p.deleted_at IS NULL
    AND (%(after)b::uuid IS NULL OR p.user_id > %(after)b::uuid)
UNION ALL
SELECT
    p.user_id,
    p.company_id,
    p.full_name,
    p.email,
    p.email_verified,
    p.avatar_url,
    p.role_type,
    p.department,
    p.is_restricted,
    p.last_active_at,
    p.last_sign_in_at,
    p.last_sign_out_at,
    p.created_at,
    p.updated_at,
    p.deleted_at
FROM identity.company_members AS b
INNER JOIN identity.profiles AS p ON b.user_id = p.user_id
WHERE
    b.company_id = identity.current_company_id()
    AND b.is_guest
    AND p.deleted_at IS NULL
    AND (%(after)b::uuid IS NULL OR b.user_id > %(after)b::uuid)
ORDER BY user_id
LIMIT %(size)b::integer;
