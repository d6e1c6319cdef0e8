-- The next users that a delivery or a row names, by id. Each branch has a LIMIT, so that a page costs the same in a
-- table of any size.
SELECT DISTINCT id
FROM (
    (
        SELECT DISTINCT user_id AS id
        FROM consumer.outbox
        WHERE user_id > %(after)b::uuid
        ORDER BY user_id
        LIMIT %(page_size)b::integer
    )
    UNION ALL
    (
        SELECT DISTINCT stack_user_id AS id
        FROM identity.stack_user_profiles
        WHERE stack_user_id > %(after)b::uuid
        ORDER BY stack_user_id
        LIMIT %(page_size)b::integer
    )
    UNION ALL
    (
        SELECT DISTINCT user_id AS id
        FROM identity.profiles
        WHERE user_id > %(after)b::uuid
        ORDER BY user_id
        LIMIT %(page_size)b::integer
    )
    UNION ALL
    (
        SELECT DISTINCT user_id AS id
        FROM identity.company_members
        WHERE user_id > %(after)b::uuid
        ORDER BY user_id
        LIMIT %(page_size)b::integer
    )
    UNION ALL
    (
        SELECT DISTINCT user_id AS id
        FROM consumer.memberships
        WHERE user_id > %(after)b::uuid
        ORDER BY user_id
        LIMIT %(page_size)b::integer
    )
    UNION ALL
    (
        SELECT DISTINCT user_id AS id
        FROM consumer.team_permissions
        WHERE user_id > %(after)b::uuid
        ORDER BY user_id
        LIMIT %(page_size)b::integer
    )
    UNION ALL
    (
        SELECT DISTINCT user_id AS id
        FROM consumer.edits
        WHERE user_id > %(after)b::uuid
        ORDER BY user_id
        LIMIT %(page_size)b::integer
    )
) AS known
ORDER BY id
LIMIT %(page_size)b::integer;
