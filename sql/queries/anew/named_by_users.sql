-- The companies that each of these users selected and that have no event of their own: their names are facts of users.
SELECT
    f.user_id,
    array_agg(c.id ORDER BY c.id) AS company_ids
FROM consumer.memberships AS f
INNER JOIN identity.companies AS c ON f.company_id = c.id
WHERE f.user_id = ANY(%(user_ids)b::uuid[]) AND f.is_implied AND c.version < '1'
GROUP BY f.user_id
ORDER BY f.user_id;
