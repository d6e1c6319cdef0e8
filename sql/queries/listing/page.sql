-- The next page of the matching deliveries, newest first, of those above the number `floor` and below `before`.
-- As in deliveries/page, the branches of the union have no WHERE, because only such branches are merged in the order of
-- their indexes, and both sides have a condition on seq. The condition on failed_type follows from the one on the type:
-- of failures it spares the look into the log. Those on user and team are asked IS TRUE, so that no index serves them:
-- this query is for subjects that have too many deliveries to be read one by one.
SELECT
    q.seq,
    o.source,
    o.message_id,
    o.event_type,
    o.user_id,
    o.team_id,
    o.occurred_at,
    o.received_at,
    o.verified_by,
    q.state,
    q.outcome,
    q.at,
    q.attempts,
    q.next_attempt_at,
    q.error_code,
    q.error
FROM (
    SELECT
        seq,
        'done'::text AS state,
        outcome,
        at,
        0 AS attempts,
        NULL::timestamptz AS next_attempt_at,
        NULL::text AS error_code,
        NULL::text AS error,
        NULL::text AS failed_type
    FROM consumer_masked.outcomes
    UNION ALL
    SELECT
        seq,
        state,
        NULL::text AS outcome,
        failed_at AS at,
        attempts,
        next_attempt_at,
        error_code,
        error,
        event_type AS failed_type
    FROM consumer_masked.failures
    UNION ALL
    SELECT
        seq,
        'pending' AS state,
        NULL::text AS outcome,
        NULL::timestamptz AS at,
        0 AS attempts,
        NULL::timestamptz AS next_attempt_at,
        NULL::text AS error_code,
        NULL::text AS error,
        NULL::text AS failed_type
    FROM consumer_masked.pending
) AS q
INNER JOIN consumer_masked.outbox AS o ON q.seq = o.seq
WHERE
    q.seq < %(before)b::bigint
    AND o.seq < %(before)b::bigint
    AND q.seq > %(floor)b::bigint
    AND o.seq > %(floor)b::bigint
    AND (%(states)b::text[] IS NULL OR q.state = ANY(%(states)b::text[]))
    AND (%(outcome)b::text IS NULL OR q.outcome = %(outcome)b::text)
    AND (%(error_code)b::text IS NULL OR q.error_code = %(error_code)b::text)
    AND (%(type_pattern)b::text IS NULL OR q.failed_type IS NULL OR q.failed_type LIKE %(type_pattern)b::text)
    AND (%(type_pattern)b::text IS NULL OR o.event_type LIKE %(type_pattern)b::text)
    AND (%(source)b::text IS NULL OR o.source = %(source)b::text)
    AND (%(user_ids)b::uuid[] IS NULL OR (o.user_id = ANY(%(user_ids)b::uuid[])) IS TRUE)
    AND (%(team_id)b::uuid IS NULL OR (o.team_id = %(team_id)b::uuid) IS TRUE)
    AND (%(verified_by)b::text IS NULL OR o.verified_by = %(verified_by)b::text)
    AND (%(since)b::timestamptz IS NULL OR o.received_at >= %(since)b::timestamptz)
    AND (%(until)b::timestamptz IS NULL OR o.received_at < %(until)b::timestamptz)
ORDER BY q.seq DESC
LIMIT %(size)b::integer;
