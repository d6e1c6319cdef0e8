-- List the failed deliveries, the oldest first.
SELECT
    o.message_id,
    f.state,
    f.error_code,
    o.event_type,
    o.user_id,
    f.attempts,
    f.failed_at,
    f.error
FROM consumer.failures AS f
INNER JOIN consumer.outbox AS o ON f.seq = o.seq
WHERE
    f.state = ANY(%(states)b::text[])
    AND (%(error_code)b::text IS NULL OR f.error_code = %(error_code)b::text)
    AND (%(event_type)b::text IS NULL OR o.event_type = %(event_type)b::text)
ORDER BY f.seq
LIMIT %(size)b::integer;
