-- The next page of a company's active members, by user id; *is_guest*: at home elsewhere.
SELECT
    b.user_id,
    p.full_name,
    p.email,
    p.role_type,
    b.is_guest,
    b.joined_at,
    b.permissions
FROM consumer_masked.company_members AS b
LEFT JOIN consumer_masked.profiles AS p ON b.user_id = p.user_id
WHERE
    b.company_id = %(company_id)b::uuid
    AND b.removed_at IS NULL
    AND (%(after)b::uuid IS NULL OR b.user_id > %(after)b::uuid)
ORDER BY b.user_id
LIMIT %(size)b::integer;
