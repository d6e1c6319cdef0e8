-- The first users that the log or the mirror has, with an id between two ids; at most `size`.
-- The log is read in steps from one user to the next: it may hold a million deliveries about one.
WITH RECURSIVE logged AS (
    (
        SELECT
            o.user_id,
            1 AS place
        FROM consumer_masked.outbox AS o
        WHERE o.user_id BETWEEN %(lowest)b::uuid AND %(highest)b::uuid
        ORDER BY o.user_id
        LIMIT 1
    )
    UNION ALL
    SELECT
        later.user_id,
        l.place + 1 AS place
    FROM logged AS l
    CROSS JOIN
        LATERAL (
            SELECT o.user_id
            FROM consumer_masked.outbox AS o
            WHERE o.user_id > l.user_id AND o.user_id <= %(highest)b::uuid
            ORDER BY o.user_id
            LIMIT 1
        ) AS later
    WHERE l.place < %(size)b::integer
)

SELECT found.user_id
FROM (
    SELECT l.user_id
    FROM logged AS l
    UNION
    (
        SELECT m.stack_user_id
        FROM consumer_masked.mirror AS m
        WHERE m.stack_user_id BETWEEN %(lowest)b::uuid AND %(highest)b::uuid
        ORDER BY m.stack_user_id
        LIMIT %(size)b::integer
    )
) AS found (user_id)
ORDER BY found.user_id
LIMIT %(size)b::integer;
