-- Store deliveries that events.check accepted and queue them; a message id that is stored already changes nothing.
-- Rows go in key order: two writers with the same ids in another order would deadlock.
WITH stored AS (
    INSERT INTO consumer.outbox (
        source, message_id, event_type, user_id, team_id, occurred_at, verified_by, body, reduced, request_id
    )
    SELECT
        source,
        message_id,
        event_type,
        user_id,
        team_id,
        occurred_at,
        verified_by,
        body,
        reduced,
        request_id
    FROM unnest(
        %(sources)b::text[],
        %(message_ids)b::text[],
        %(event_types)b::text[],
        %(user_ids)b::uuid[],
        %(team_ids)b::uuid[],
        %(occurred_ats)b::timestamptz[],
        %(verified_bys)b::text[],
        %(bodies)b::bytea[],
        %(reduced_bodies)b::bytea[],
        %(request_ids)b::uuid[]
    ) AS d (source, message_id, event_type, user_id, team_id, occurred_at, verified_by, body, reduced, request_id)
    ORDER BY source, message_id COLLATE "C"
    ON CONFLICT (source, message_id) DO NOTHING
    RETURNING seq
)

INSERT INTO consumer.pending (seq)
SELECT seq
FROM stored;
