-- Store one signed delivery that can never be applied, dead from the start, and return whether it was new; a message
-- id that is stored, or whose delivery was removed, changes nothing.
WITH stored AS (
    INSERT INTO consumer.outbox (
        source, message_id, event_type, user_id, team_id, occurred_at, verified_by, body, request_id
    )
    SELECT
        %(source)b::text,
        %(message_id)b::text,
        %(event_type)b::text,
        %(user_id)b::uuid,
        %(team_id)b::uuid,
        least(%(occurred_at)b::timestamptz, now() + interval '24 hours'),
        %(verified_by)b::text,
        %(body)b::bytea,
        %(request_id)b::uuid
    WHERE
        CASE
            WHEN
                EXISTS (
                    SELECT FROM consumer.pruned
                )
                THEN consumer.pruned_places(ARRAY[%(source)b::text], ARRAY[%(message_id)b::text]) = '{}'
            ELSE TRUE
        END
    ON CONFLICT (source, message_id) DO NOTHING
    RETURNING seq
),

failed AS (
    INSERT INTO consumer.failures (seq, state, attempts, error_code, error, source, event_type)
    SELECT
        seq,
        'dead',
        0,
        %(error_code)b::text,
        %(error)b::text,
        %(source)b::text,
        %(event_type)b::text
    FROM stored
)

-- As in storage/put: the repeat's commit must wait for what the first copy's waits for.
SELECT
    count(*) AS new_count,
    CASE WHEN count(*) = 0 THEN pg_logical_emit_message(TRUE, 'consumer', '') END AS repeated_at
FROM stored;
