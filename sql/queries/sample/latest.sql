-- The newest deliveries, each with its masked address.
WITH newest AS (
    SELECT
        seq,
        event_type,
        user_id,
        team_id,
        received_at,
        state,
        attempts,
        outcome,
        done_at
    FROM consumer_masked.deliveries
    ORDER BY seq DESC
    LIMIT %(size)b::integer
)

SELECT
    n.seq,
    n.event_type,
    n.user_id,
    n.team_id,
    n.received_at,
    n.state,
    n.attempts,
    n.outcome,
    n.done_at,
    m.stack_primary_email AS email
FROM newest AS n
LEFT JOIN consumer_masked.mirror AS m ON n.user_id = m.stack_user_id
ORDER BY n.seq DESC;
