-- Group the failed deliveries by error and reason, the most frequent first, each group with its latest example.
WITH groups AS (
    SELECT
        f.state,
        f.error_code,
        f.error,
        f.event_type,
        count(*) AS deliveries,
        min(f.failed_at) AS first_at,
        max(f.failed_at) AS last_at,
        max(f.seq) AS last_seq
    FROM consumer_masked.failures AS f
    WHERE
        f.state = ANY(%(states)b::text[])
        AND (%(error_code)b::text IS NULL OR f.error_code = %(error_code)b::text)
        AND (%(event_type)b::text IS NULL OR f.event_type = %(event_type)b::text)
    GROUP BY f.state, f.error_code, f.error, f.event_type
    ORDER BY deliveries DESC, last_seq DESC
    LIMIT %(size)b::integer
)

SELECT
    g.state,
    g.error_code,
    g.event_type,
    g.deliveries,
    g.first_at,
    g.last_at,
    g.error,
    o.message_id
FROM groups AS g
INNER JOIN consumer_masked.outbox AS o ON g.last_seq = o.seq
ORDER BY g.deliveries DESC, g.last_seq DESC;
