-- The companies without an event of their own that these users selected: their names are facts of these users.
SELECT DISTINCT f.company_id
FROM consumer.memberships AS f
INNER JOIN identity.companies AS c ON f.company_id = c.id
WHERE f.user_id = ANY(%(user_ids)b::uuid[]) AND f.is_implied AND c.version < '1'
ORDER BY f.company_id;
