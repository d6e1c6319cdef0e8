-- Store one signed delivery that can never be applied, dead from the start; a stored message id changes nothing.
WITH stored AS (
    INSERT INTO consumer.outbox (
        source, message_id, event_type, user_id, team_id, occurred_at, verified_by, body, request_id
    )
    VALUES (
        %(source)b::text,
        %(message_id)b::text,
        %(event_type)b::text,
        %(user_id)b::uuid,
        %(team_id)b::uuid,
        %(occurred_at)b::timestamptz,
        %(verified_by)b::text,
        %(body)b::bytea,
        %(request_id)b::uuid
    )
    ON CONFLICT (source, message_id) DO NOTHING
    RETURNING seq
)

INSERT INTO consumer.failures (seq, state, attempts, error_code, error)
SELECT
    seq,
    'dead',
    0,
    %(error_code)b::text,
    %(error)b::text
FROM stored;
