-- The next users of a company, by id: present and past members, users that an edit or metadata puts there, users at
-- home there and, if it is the default company and active, users without a home: it may live again. Each branch has a
-- LIMIT, so that a page costs the same in a company of any size.
SELECT user_id
FROM (
    (
        SELECT f.user_id
        FROM consumer.memberships AS f
        WHERE
            f.company_id = %(company_id)b::uuid
            AND f.user_id BETWEEN %(next_user_id)b::uuid AND %(last_user_id)b::uuid
        ORDER BY f.user_id
        LIMIT %(page_size)b::integer
    )
    UNION
    (
        SELECT e.user_id
        FROM consumer.edits AS e
        WHERE
            e.field = 'company_id'
            AND e.value = %(company_id)b::uuid::text
            AND e.user_id BETWEEN %(next_user_id)b::uuid AND %(last_user_id)b::uuid
        ORDER BY e.user_id
        LIMIT %(page_size)b::integer
    )
    UNION
    (
        SELECT m.stack_user_id
        FROM identity.stack_user_profiles AS m
        WHERE
            m.source_company_id = %(company_id)b::uuid
            AND m.stack_user_id BETWEEN %(next_user_id)b::uuid AND %(last_user_id)b::uuid
        ORDER BY m.stack_user_id
        LIMIT %(page_size)b::integer
    )
    UNION
    (
        SELECT m.stack_user_id
        FROM identity.stack_user_profiles AS m
        WHERE
            m.company_id = %(company_id)b::uuid
            AND m.stack_user_id BETWEEN %(next_user_id)b::uuid AND %(last_user_id)b::uuid
        ORDER BY m.stack_user_id
        LIMIT %(page_size)b::integer
    )
    UNION
    (
        SELECT m.stack_user_id
        FROM identity.stack_user_profiles AS m
        WHERE
            (
                SELECT c.deleted_at IS NULL
                FROM identity.companies AS c
                INNER JOIN consumer.settings AS s ON c.id = s.default_company_id
                WHERE c.id = %(company_id)b::uuid
            )
            AND m.company_id IS NULL
            AND m.deleted_at IS NULL
            AND m.stack_user_id BETWEEN %(next_user_id)b::uuid AND %(last_user_id)b::uuid
        ORDER BY m.stack_user_id
        LIMIT %(page_size)b::integer
    )
) AS found
ORDER BY user_id
LIMIT %(page_size)b::integer;
