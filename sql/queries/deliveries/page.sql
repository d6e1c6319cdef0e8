-- The next page of the matching deliveries, oldest first; a discarded one never matches.
-- The branches of the union have no WHERE, because only such branches are merged in the order of their indexes: 1 ms a
-- page in a million rows, where consumer.deliveries takes 560. Both tables have a condition on seq, because the planner
-- does not infer the second.
SELECT
    q.seq,
    q.state
FROM (
    SELECT
        seq,
        'done'::text AS state,
        outcome,
        NULL::text AS error_code
    FROM consumer.outcomes
    UNION ALL
    SELECT
        seq,
        state,
        NULL::text AS outcome,
        error_code
    FROM consumer.failures
) AS q
INNER JOIN consumer.outbox AS o ON q.seq = o.seq
WHERE
    q.seq > %(after_seq)b::bigint
    AND o.seq > %(after_seq)b::bigint
    AND q.state = ANY(%(states)b::text[])
    AND q.outcome IS DISTINCT FROM 'discarded'
    AND (%(error_code)b::text IS NULL OR q.error_code = %(error_code)b::text)
    AND (%(since)b::timestamptz IS NULL OR o.received_at >= %(since)b::timestamptz)
    AND (%(until)b::timestamptz IS NULL OR o.received_at < %(until)b::timestamptz)
    AND (%(event_type)b::text IS NULL OR o.event_type = %(event_type)b::text)
    AND (%(user_id)b::uuid IS NULL OR o.user_id = %(user_id)b::uuid)
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
