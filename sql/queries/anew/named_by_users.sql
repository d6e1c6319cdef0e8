-- The companies that one of these users selected and that have no event of their own: their names are facts of users.
SELECT DISTINCT c.id
FROM consumer.memberships AS f
INNER JOIN identity.companies AS c ON f.company_id = c.id
WHERE f.user_id = ANY(%(user_ids)b::uuid[]) AND f.is_implied AND c.version < '1'
ORDER BY c.id;
