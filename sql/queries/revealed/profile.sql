-- The personal values of a profile, and the name of its company.
SELECT
    p.full_name,
    p.email,
    p.avatar_url,
    c.name AS company_name
FROM identity.profiles AS p
LEFT JOIN identity.companies AS c ON p.company_id = c.id
WHERE p.user_id = %(user_id)b::uuid;
