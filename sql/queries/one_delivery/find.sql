-- The delivery with this number, and those with this message id: each source may have one.
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
    e.excluded_by,
    e.excluded_at,
    e.reason AS excluded_reason
FROM consumer_masked.outbox AS o
LEFT JOIN consumer_masked.outcomes AS d ON o.seq = d.seq
LEFT JOIN consumer_masked.failures AS f ON o.seq = f.seq
LEFT JOIN consumer_masked.exclusions AS e ON o.seq = e.seq
WHERE
    o.seq = %(seq)b::bigint
    OR (
        -- Name every source, because the unique index begins with it.
        o.source IN ('stack', 'app', 'backfill', 'reconcile', 'operator')
        AND o.message_id = %(message_id)b::text
    )
ORDER BY o.seq;
