-- Each company on which a row of these users depends: those that they are or were in, or that an edit or their metadata
-- names, and the default one.
SELECT DISTINCT company_id
FROM (
    SELECT f.company_id
    FROM consumer.memberships AS f
    WHERE f.user_id = ANY(%(user_ids)b::uuid[])
    UNION ALL
    SELECT b.company_id
    FROM identity.company_members AS b
    WHERE b.user_id = ANY(%(user_ids)b::uuid[])
    UNION ALL
    SELECT e.value::uuid AS company_id
    FROM consumer.edits AS e
    WHERE e.user_id = ANY(%(user_ids)b::uuid[]) AND e.field = 'company_id' AND e.value IS NOT NULL
    UNION ALL
    SELECT m.source_company_id AS company_id
    FROM identity.stack_user_profiles AS m
    WHERE m.stack_user_id = ANY(%(user_ids)b::uuid[]) AND m.source_company_id IS NOT NULL
    UNION ALL
    SELECT s.default_company_id AS company_id
    FROM consumer.settings AS s
    WHERE s.default_company_id IS NOT NULL
) AS named
ORDER BY company_id;
