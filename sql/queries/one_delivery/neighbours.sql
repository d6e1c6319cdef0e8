-- The numbers just before and after one, of deliveries about the same user, or about the same team if it is about no
-- user, no further away than `window`; at most `size` on either side.
-- IS TRUE keeps the planner from the indexes of users and teams: this one has too many deliveries.
(
    SELECT o.seq
    FROM consumer_masked.outbox AS o
    WHERE
        o.seq < %(seq)b::bigint
        AND o.seq >= %(seq)b::bigint - %(window)b::integer
        AND (CASE
            WHEN %(user_id)b::uuid IS NULL THEN o.team_id = %(team_id)b::uuid
            ELSE o.user_id = %(user_id)b::uuid
        END) IS TRUE
    ORDER BY o.seq DESC
    LIMIT %(size)b::integer
)
UNION ALL
(
    SELECT o.seq
    FROM consumer_masked.outbox AS o
    WHERE
        o.seq > %(seq)b::bigint
        AND o.seq <= %(seq)b::bigint + %(window)b::integer
        AND (CASE
            WHEN %(user_id)b::uuid IS NULL THEN o.team_id = %(team_id)b::uuid
            ELSE o.user_id = %(user_id)b::uuid
        END) IS TRUE
    ORDER BY o.seq
    LIMIT %(size)b::integer
);
