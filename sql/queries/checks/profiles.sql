-- The columns of each profile that `demo` compares.
SELECT
    user_id,
    full_name,
    email,
    role_type,
    department,
    deleted_at IS NOT NULL AS is_deleted,
    last_sign_in_at
FROM identity.profiles
ORDER BY last_sign_in_at DESC NULLS LAST, user_id ASC;
