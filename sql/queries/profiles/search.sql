-- Profiles of the company in app.company_id with a name that contains this text; names that begin with it come first.
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
FROM identity.search_profiles(%(name)b::text, %(size)b::integer) AS p;
