-- The first teams that the log or the companies have, with an id between two ids; at most `size`.
-- The log is read in steps from one team to the next: it may hold a million deliveries about one.
WITH RECURSIVE logged AS (
    (
        SELECT
            o.team_id,
            1 AS place
        FROM consumer_masked.outbox AS o
        WHERE o.team_id BETWEEN %(lowest)b::uuid AND %(highest)b::uuid
        ORDER BY o.team_id
        LIMIT 1
    )
    UNION ALL
    SELECT
        later.team_id,
        l.place + 1 AS place
    FROM logged AS l
    CROSS JOIN
        LATERAL (
            SELECT o.team_id
            FROM consumer_masked.outbox AS o
            WHERE o.team_id > l.team_id AND o.team_id <= %(highest)b::uuid
            ORDER BY o.team_id
            LIMIT 1
        ) AS later
    WHERE l.place < %(size)b::integer
)

SELECT found.team_id
FROM (
    SELECT l.team_id
    FROM logged AS l
    UNION
    (
        SELECT c.id
        FROM consumer_masked.companies AS c
        WHERE c.id BETWEEN %(lowest)b::uuid AND %(highest)b::uuid
        ORDER BY c.id
        LIMIT %(size)b::integer
    )
) AS found (team_id)
ORDER BY found.team_id
LIMIT %(size)b::integer;
