-- Every user that these companies concern: members, users at home there, users that an edit or metadata puts
-- there.
SELECT DISTINCT user_id
FROM (
    SELECT f.user_id
    FROM consumer.memberships AS f
    WHERE f.company_id = ANY(%(company_ids)b::uuid[])
    UNION ALL
    SELECT b.user_id
    FROM identity.company_members AS b
    WHERE b.company_id = ANY(%(company_ids)b::uuid[])
    UNION ALL
    SELECT e.user_id
    FROM consumer.edits AS e
    WHERE e.field = 'company_id' AND e.value = ANY(%(company_ids)b::uuid[]::text[])
    UNION ALL
    SELECT m.stack_user_id
    FROM identity.stack_user_profiles AS m
    WHERE m.source_company_id = ANY(%(company_ids)b::uuid[]) OR m.company_id = ANY(%(company_ids)b::uuid[])
    UNION ALL
    SELECT p.user_id
    FROM identity.profiles AS p
    WHERE p.company_id = ANY(%(company_ids)b::uuid[])
    UNION ALL
    SELECT o.user_id
    FROM consumer.outbox AS o
    WHERE o.team_id = ANY(%(company_ids)b::uuid[]) AND o.user_id IS NOT NULL
) AS concerned
ORDER BY user_id;
