-- The next companies that a delivery or a row names, by id; as next_users.
SELECT DISTINCT id
FROM (
    (
        SELECT DISTINCT team_id AS id
        FROM consumer.outbox
        WHERE team_id > %(after)b::uuid
        ORDER BY team_id
        LIMIT %(page_size)b::integer
    )
    UNION ALL
    (
        SELECT DISTINCT id
        FROM identity.companies
        WHERE id > %(after)b::uuid
        ORDER BY id
        LIMIT %(page_size)b::integer
    )
) AS known
ORDER BY id
LIMIT %(page_size)b::integer;
