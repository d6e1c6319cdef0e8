-- Count the matching deliveries by state, type and outcome, the most first within a state; discarded ones only with
-- is_discarded, and then no others. It ends at count_max of them, unless that is null. SELECT around seq_before calls
-- it once, where the planner filters rows by it too.
SELECT
    m.state,
    m.event_type,
    m.outcome,
    count(*) AS deliveries
FROM (
    SELECT
        q.state,
        o.event_type,
        q.outcome
    FROM (
        SELECT
            seq,
            'done'::text AS state,
            outcome,
            NULL::text AS error_code,
            at
        FROM consumer.outcomes
        UNION ALL
        SELECT
            seq,
            state,
            NULL::text AS outcome,
            error_code,
            failed_at AS at
        FROM consumer.failures
        UNION ALL
        SELECT
            seq,
            'pending' AS state,
            NULL::text AS outcome,
            NULL::text AS error_code,
            NULL::timestamptz AS at
        FROM consumer.pending
    ) AS q
    INNER JOIN consumer.outbox AS o ON q.seq = o.seq
    WHERE
    q.seq > (SELECT coalesce(consumer.seq_before(%(since)b::timestamptz), 0))
    AND o.seq > (SELECT coalesce(consumer.seq_before(%(since)b::timestamptz), 0))
    AND q.state = ANY(%(states)b::text[])
        AND (q.outcome IS NOT DISTINCT FROM 'discarded') = %(is_discarded)b::boolean
        AND (%(error_code)b::text IS NULL OR q.error_code = %(error_code)b::text)
        AND (%(since)b::timestamptz IS NULL OR o.received_at >= %(since)b::timestamptz)
        AND (%(until)b::timestamptz IS NULL OR o.received_at < %(until)b::timestamptz)
    AND (%(settled_until)b::timestamptz IS NULL OR coalesce(q.at, o.received_at) <= %(settled_until)b::timestamptz)
        AND (%(source)b::text IS NULL OR o.source = %(source)b::text)
        AND (%(outcome)b::text IS NULL OR q.outcome = %(outcome)b::text)
        AND (
            %(event_type)b::text IS NULL
            OR o.event_type = %(event_type)b::text
        OR (right(%(event_type)b::text, 1) = '*' AND starts_with(o.event_type, left(%(event_type)b::text, -1)))
        )
        AND (%(user_id)b::uuid IS NULL OR o.user_id = %(user_id)b::uuid)
        AND (%(team_id)b::uuid IS NULL OR o.team_id = %(team_id)b::uuid)
        AND (%(verified_by)b::text IS NULL OR o.verified_by = %(verified_by)b::text)
        AND (%(seqs)b::bigint[] IS NULL OR (q.seq = ANY(%(seqs)b::bigint[]) AND o.seq = ANY(%(seqs)b::bigint[])))
        AND (
            %(message_ids)b::text[] IS NULL
            -- Name every source, because the unique index begins with it.
            OR (
                o.source IN ('stack', 'app', 'backfill', 'reconcile', 'operator')
            AND o.message_id = ANY(%(message_ids)b::text[])
            )
        )
    ORDER BY q.seq
    LIMIT %(count_max)b::bigint
) AS m
GROUP BY m.state, m.event_type, m.outcome
ORDER BY m.state ASC, deliveries DESC, m.event_type ASC, m.outcome ASC;
