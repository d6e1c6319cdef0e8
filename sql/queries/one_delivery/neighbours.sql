-- The deliveries just before and after one, about the same user, or about the same team if it is about no user.
-- The sum keeps the planner from walking the whole log in the order of its numbers.
WITH near AS (
    (
        SELECT o.seq
        FROM consumer_masked.outbox AS o
        WHERE
            o.seq < %(seq)b::bigint
            AND (
                o.user_id = %(user_id)b::uuid
                OR (%(user_id)b::uuid IS NULL AND o.team_id = %(team_id)b::uuid)
            )
        ORDER BY o.seq + 0 DESC
        LIMIT %(size)b::integer
    )
    UNION ALL
    (
        SELECT o.seq
        FROM consumer_masked.outbox AS o
        WHERE
            o.seq > %(seq)b::bigint
            AND (
                o.user_id = %(user_id)b::uuid
                OR (%(user_id)b::uuid IS NULL AND o.team_id = %(team_id)b::uuid)
            )
        ORDER BY o.seq + 0
        LIMIT %(size)b::integer
    )
)

SELECT
    o.seq,
    o.source,
    o.message_id,
    o.event_type,
    o.user_id,
    o.team_id,
    o.occurred_at,
    o.received_at,
    o.verified_by,
    CASE WHEN d.seq IS NOT NULL THEN 'done' ELSE coalesce(f.state, 'pending') END AS state,
    d.outcome,
    coalesce(d.at, f.failed_at) AS at,
    coalesce(f.attempts, 0) AS attempts,
    f.next_attempt_at,
    f.error_code,
    f.error
FROM near AS n
INNER JOIN consumer_masked.outbox AS o ON n.seq = o.seq
LEFT JOIN consumer_masked.outcomes AS d ON n.seq = d.seq
LEFT JOIN consumer_masked.failures AS f ON n.seq = f.seq
ORDER BY o.seq DESC;
