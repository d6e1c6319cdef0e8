-- The numbers of the deliveries about one user, or about one team, in no order; at most `size`.
-- Ranges instead of equalities: only an index has their order. For an equality with a large part of the log the planner
-- walks the log, and reads all of it if that part lies at its end.
(
    SELECT o.seq
    FROM consumer_masked.outbox AS o
    WHERE o.user_id >= %(user_id)b::uuid AND o.user_id <= %(user_id)b::uuid
    ORDER BY o.user_id
    LIMIT %(size)b::integer
)
UNION ALL
(
    SELECT o.seq
    FROM consumer_masked.outbox AS o
    WHERE o.team_id >= %(team_id)b::uuid AND o.team_id <= %(team_id)b::uuid
    ORDER BY o.team_id
    LIMIT %(size)b::integer
);
