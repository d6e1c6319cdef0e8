-- The next living profiles of the company in app.company_id, by user id: users at home there and its guests; with
-- role_type, only users with that role.
-- Each part returns at most a page. Without that, the sort would grow with the company.
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
WHERE p.user_id = ANY(ARRAY(
    (
        SELECT h.user_id
        FROM identity.profiles AS h
        WHERE
            h.company_id = identity.current_company_id()
            AND h.deleted_at IS NULL
            AND (%(after)b::uuid IS NULL OR h.user_id > %(after)b::uuid)
            AND (
                %(role_type)b::text IS NULL
                OR (h.role_type = %(role_type)b::text AND octet_length(h.role_type) <= 256)
            )
        ORDER BY h.user_id
        LIMIT %(size)b::integer
    )
    UNION ALL
    SELECT g.user_id
    FROM identity.current_guests(%(after)b::uuid, %(role_type)b::text, %(size)b::integer) AS g (user_id)
    ORDER BY user_id
    LIMIT %(size)b::integer
))
ORDER BY p.user_id;
