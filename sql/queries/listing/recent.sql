-- The next changes of matching deliveries from a place on, given as time and number, to before an instant: when they
-- were done or refused, or else received, each with the fields it changed; the earliest first, at most `size`.
WITH noticed AS (
    SELECT o.seq
    FROM consumer_masked.outbox AS o
    WHERE
        o.seq > consumer_masked.seq_before(%(after_at)b::timestamptz)
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
    f.error,
    ARRAY(
        SELECT DISTINCT unnest(a.changed_fields) AS field
        FROM consumer_masked.audit AS a
        WHERE a.seq = o.seq
        ORDER BY field
    ) AS changed_fields
FROM noticed AS n
INNER JOIN consumer_masked.outbox AS o ON n.seq = o.seq
LEFT JOIN consumer_masked.outcomes AS d ON n.seq = d.seq
LEFT JOIN consumer_masked.failures AS f ON n.seq = f.seq
WHERE
    (coalesce(d.at, f.failed_at, o.received_at), o.seq) > (%(after_at)b::timestamptz, %(after_seq)b::bigint)
    AND coalesce(d.at, f.failed_at, o.received_at) < %(until)b::timestamptz
    AND (
        %(states)b::text[] IS NULL
        OR CASE WHEN d.seq IS NOT NULL THEN 'done' ELSE coalesce(f.state, 'pending') END = ANY(%(states)b::text[])
    )
    AND (%(outcome)b::text IS NULL OR d.outcome = %(outcome)b::text)
    AND (%(error_code)b::text IS NULL OR f.error_code = %(error_code)b::text)
    AND (%(type_pattern)b::text IS NULL OR o.event_type LIKE %(type_pattern)b::text)
    AND (%(source)b::text IS NULL OR o.source = %(source)b::text)
    AND (%(user_ids)b::uuid[] IS NULL OR o.user_id = ANY(%(user_ids)b::uuid[]))
    AND (%(team_id)b::uuid IS NULL OR o.team_id = %(team_id)b::uuid)
    AND (%(verified_by)b::text IS NULL OR o.verified_by = %(verified_by)b::text)
ORDER BY coalesce(d.at, f.failed_at, o.received_at), o.seq
LIMIT %(size)b::integer;
