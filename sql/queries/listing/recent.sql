-- The next changes of matching deliveries from a place on, given as time and number, to before an instant: when they
-- were done or refused, or else received, each with the fields it changed; the earliest first, at most `size`.
-- What was received in this time lies between the numbers `floor` and `before`: calls of listing/bounds in here would
-- run for each row, or hide from the planner how few they are. OFFSET 0 keeps it from joining: it would walk the log.
WITH noticed AS (
    SELECT o.seq
    FROM consumer_masked.outbox AS o
    WHERE
        o.seq > %(floor)b::bigint
        AND o.seq < %(before)b::bigint
        AND o.received_at >= %(after_at)b::timestamptz
        AND o.received_at < %(until)b::timestamptz
    UNION
    SELECT d.seq
    FROM consumer_masked.outcomes AS d
    WHERE d.at >= %(after_at)b::timestamptz AND d.at < %(until)b::timestamptz
    UNION
    SELECT f.seq
    FROM consumer_masked.failures AS f
    WHERE f.failed_at >= %(after_at)b::timestamptz AND f.failed_at < %(until)b::timestamptz
)

SELECT
    one.seq,
    one.source,
    one.message_id,
    one.event_type,
    one.user_id,
    one.team_id,
    one.occurred_at,
    one.received_at,
    one.verified_by,
    one.state,
    one.outcome,
    one.at,
    one.attempts,
    one.next_attempt_at,
    one.error_code,
    one.error,
    ARRAY(
        SELECT DISTINCT unnest(a.changed_fields) AS field
        FROM consumer_masked.audit AS a
        WHERE a.seq = one.seq
        ORDER BY field
    ) AS changed_fields
FROM noticed AS n
INNER JOIN LATERAL ( -- noqa: ST05
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
        coalesce(d.at, f.failed_at, o.received_at) AS changed_at,
        coalesce(f.attempts, 0) AS attempts,
        f.next_attempt_at,
        f.error_code,
        f.error
    FROM consumer_masked.outbox AS o
    LEFT JOIN consumer_masked.outcomes AS d ON o.seq = d.seq
    LEFT JOIN consumer_masked.failures AS f ON o.seq = f.seq
    WHERE o.seq = n.seq
    ORDER BY o.seq
    OFFSET 0
) AS one ON TRUE
WHERE
    (one.changed_at, one.seq) > (%(after_at)b::timestamptz, %(after_seq)b::bigint)
    AND one.changed_at < %(until)b::timestamptz
    AND (%(states)b::text[] IS NULL OR one.state = ANY(%(states)b::text[]))
    AND (%(outcome)b::text IS NULL OR one.outcome = %(outcome)b::text)
    AND (%(error_code)b::text IS NULL OR one.error_code = %(error_code)b::text)
    AND (%(type_pattern)b::text IS NULL OR one.event_type LIKE %(type_pattern)b::text)
    AND (%(source)b::text IS NULL OR one.source = %(source)b::text)
    AND (%(user_ids)b::uuid[] IS NULL OR one.user_id = ANY(%(user_ids)b::uuid[]))
    AND (%(team_id)b::uuid IS NULL OR one.team_id = %(team_id)b::uuid)
    AND (%(verified_by)b::text IS NULL OR one.verified_by = %(verified_by)b::text)
ORDER BY one.changed_at, one.seq
LIMIT %(size)b::integer;
