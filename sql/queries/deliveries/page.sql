-- The next page of the matching deliveries, oldest first; discarded ones only with is_discarded, and then no others.
-- The branches of the union have no WHERE, because only such branches are merged in the order of their indexes: 1 ms a
-- page in a million rows, where consumer.deliveries takes 560. Both sides have a condition on seq, because the planner
-- does not infer the second. SELECT around seq_before calls it once, where the planner filters rows by it too.
SELECT
    q.seq,
    q.state,
    q.outcome,
    o.user_id,
    o.team_id,
    o.event_type
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
    q.seq > (SELECT greatest(%(after_seq)b::bigint, consumer.seq_before(%(since)b::timestamptz)))
    AND o.seq > (SELECT greatest(%(after_seq)b::bigint, consumer.seq_before(%(since)b::timestamptz)))
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
LIMIT %(page_size)b::integer;
