-- Store deliveries that events.check accepted, queue them and return how many were new; a message id that is stored
-- already, or whose delivery was removed (prune), changes nothing. No delivery occurs more than a day after it is
-- stored, because its version would win over every later one. Rows go in key order: two writers with the same ids in
-- another order would deadlock.
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
        least(occurred_at, now() + interval '24 hours'),
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
    )
        WITH ORDINALITY AS d (
            source, message_id, event_type, user_id, team_id, occurred_at, verified_by, body, reduced, request_id, place
        )
    -- Asked once a statement, and not at all before a delivery was removed.
    WHERE
        (
            d.place = ANY((
                SELECT
                    CASE
                        WHEN
                            EXISTS (
                                SELECT FROM consumer.pruned
                            )
                            THEN consumer.pruned_places(%(sources)b::text[], %(message_ids)b::text[])
                    END
            )::bigint[])
        ) IS NOT TRUE
    ORDER BY source, message_id COLLATE "C"
    ON CONFLICT (source, message_id) DO NOTHING
    RETURNING seq
),

queued AS (
    INSERT INTO consumer.pending (seq)
    SELECT seq
    FROM stored
)

-- The commit of a transaction that wrote nothing waits neither for the disk nor for a synchronous standby, although the
-- first copy may be on neither. A message in the log of changes (WAL) makes it wait, and whatever this transaction saw
-- lies before it. An id of a transaction (pg_current_xact_id) would not do.
SELECT
    count(*) AS new_count,
    CASE
        WHEN count(*) < cardinality(%(message_ids)b::text[]) THEN pg_logical_emit_message(TRUE, 'consumer', '')
    END AS repeated_at
FROM stored;
