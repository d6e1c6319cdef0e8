-- Those of the deliveries with these numbers that match, newest first, at most `size`.
-- OFFSET 0 keeps the planner from joining: it would read the whole log where that is small.
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
    one.error
FROM unnest(%(seqs)b::bigint[]) AS n (seq)
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
    (%(states)b::text[] IS NULL OR one.state = ANY(%(states)b::text[]))
    AND (%(outcome)b::text IS NULL OR one.outcome = %(outcome)b::text)
    AND (%(error_code)b::text IS NULL OR one.error_code = %(error_code)b::text)
    AND (%(type_pattern)b::text IS NULL OR one.event_type LIKE %(type_pattern)b::text)
    AND (%(source)b::text IS NULL OR one.source = %(source)b::text)
    AND (%(user_ids)b::uuid[] IS NULL OR one.user_id = ANY(%(user_ids)b::uuid[]))
    AND (%(team_id)b::uuid IS NULL OR one.team_id = %(team_id)b::uuid)
    AND (%(verified_by)b::text IS NULL OR one.verified_by = %(verified_by)b::text)
    AND (%(since)b::timestamptz IS NULL OR one.received_at >= %(since)b::timestamptz)
    AND (%(until)b::timestamptz IS NULL OR one.received_at < %(until)b::timestamptz)
ORDER BY one.seq DESC
LIMIT %(size)b::integer;
