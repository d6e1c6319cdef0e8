-- A user's profile with the home company; its columns are null if there is none or the caller may not see it.
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
    p.deleted_at,
    c.id,
    c.name,
    c.logo_url,
    c.settings
FROM identity.profiles AS p
LEFT JOIN identity.companies AS c ON p.company_id = c.id
WHERE p.user_id = %(user_id)b::uuid;
