-- A user's profile, deleted or not, if the caller may see it.
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
WHERE p.user_id = %(user_id)b::uuid;
