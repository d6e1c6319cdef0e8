-- Queue every user and company that a delivery or a row tells of, by id from first to last; return how many are new.
INSERT INTO consumer.rebuild (stage, id)
SELECT
    stage,
    id
FROM (
    SELECT
        2 AS stage,
        user_id AS id
    FROM consumer.outbox
    WHERE user_id BETWEEN %(first_id)b::uuid AND %(last_id)b::uuid
    UNION
    SELECT
        2 AS stage,
        stack_user_id AS id
    FROM identity.stack_user_profiles
    WHERE stack_user_id BETWEEN %(first_id)b::uuid AND %(last_id)b::uuid
    UNION
    SELECT
        2 AS stage,
        user_id AS id
    FROM identity.profiles
    WHERE user_id BETWEEN %(first_id)b::uuid AND %(last_id)b::uuid
    UNION
    SELECT
        2 AS stage,
        user_id AS id
    FROM identity.company_members
    WHERE user_id BETWEEN %(first_id)b::uuid AND %(last_id)b::uuid
    UNION
    SELECT
        2 AS stage,
        user_id AS id
    FROM consumer.memberships
    WHERE user_id BETWEEN %(first_id)b::uuid AND %(last_id)b::uuid
    UNION
    SELECT
        2 AS stage,
        user_id AS id
    FROM consumer.team_permissions
    WHERE user_id BETWEEN %(first_id)b::uuid AND %(last_id)b::uuid
    UNION
    SELECT
        2 AS stage,
        user_id AS id
    FROM consumer.edits
    WHERE user_id BETWEEN %(first_id)b::uuid AND %(last_id)b::uuid
    UNION
    SELECT
        s.stage,
        o.team_id AS id
    FROM consumer.outbox AS o
    CROSS JOIN (VALUES (1), (3)) AS s (stage)
    WHERE o.team_id BETWEEN %(first_id)b::uuid AND %(last_id)b::uuid
    UNION
    SELECT
        s.stage,
        c.id
    FROM identity.companies AS c
    CROSS JOIN (VALUES (1), (3)) AS s (stage)
    WHERE c.id BETWEEN %(first_id)b::uuid AND %(last_id)b::uuid
) AS known
ORDER BY stage, id
ON CONFLICT (stage, id) DO UPDATE SET due_at = excluded.due_at;
