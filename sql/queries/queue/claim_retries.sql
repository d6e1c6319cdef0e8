-- Take up to a batch of failed deliveries that are due again; skip those another worker holds.
WITH claimed AS (
    DELETE FROM consumer.failures
    WHERE seq = ANY(ARRAY(
        SELECT seq
        FROM consumer.failures
        WHERE state = 'retrying' AND next_attempt_at <= now()
        ORDER BY next_attempt_at
        LIMIT %(batch_size)b::integer
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING seq, attempts
)

SELECT
    c.seq,
    o.source,
    o.message_id,
    o.event_type,
    o.user_id,
    TRUE AS has_failed,
    c.attempts
FROM claimed AS c
INNER JOIN consumer.outbox AS o ON c.seq = o.seq;
