-- The memberships of a user, the active ones first, each by its first join; at most `size`.
SELECT
    b.company_id,
    c.name AS company_name,
    c.deleted_at AS company_deleted_at,
    b.joined_at,
    b.removed_at,
    b.permissions
FROM consumer_masked.company_members AS b
LEFT JOIN consumer_masked.companies AS c ON b.company_id = c.id
WHERE b.user_id = %(user_id)b::uuid
ORDER BY (b.removed_at IS NOT NULL), b.joined_at, b.company_id
LIMIT %(size)b::integer;
