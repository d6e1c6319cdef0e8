-- All columns of the deliveries with one message id: each source may have one.
SELECT
    d.seq,
    d.source,
    d.message_id,
    d.event_type,
    d.user_id,
    d.team_id,
    d.occurred_at,
    d.received_at,
    d.state,
    d.attempts,
    d.next_attempt_at,
    d.outcome,
    d.error_code,
    d.error,
    f.failed_at,
    e.excluded_by,
    e.excluded_at,
    o.verified_by,
    octet_length(o.body) AS body_bytes,
    octet_length(o.reduced) AS reduced_bytes,
    CASE WHEN %(with_body)b::boolean THEN o.body END AS body
FROM consumer.deliveries AS d
INNER JOIN consumer.outbox AS o ON d.seq = o.seq
LEFT JOIN consumer.failures AS f ON d.seq = f.seq
LEFT JOIN consumer.exclusions AS e ON d.seq = e.seq
WHERE
    -- Name every source, because the unique index begins with it.
    d.source IN ('stack', 'app', 'backfill', 'reconcile', 'operator')
    AND d.message_id = %(message_id)b::text
ORDER BY d.seq;
