-- Count the matching failed deliveries by state and type, the most first within a state, without reading a delivery. It
-- ends at count_max of them, unless that is null.
SELECT
    m.state,
    m.event_type,
    NULL::text AS outcome,
    count(*) AS deliveries
FROM (
    SELECT
        f.state,
        f.event_type
    FROM consumer_masked.failures AS f
    WHERE
        f.state = ANY(%(states)b::text[])
        AND (%(settled_until)b::timestamptz IS NULL OR f.failed_at <= %(settled_until)b::timestamptz)
        AND (%(source)b::text IS NULL OR f.source = %(source)b::text)
        AND (%(error_code)b::text IS NULL OR f.error_code = %(error_code)b::text)
        AND (
            %(event_type)b::text IS NULL
            OR f.event_type = %(event_type)b::text
            OR (right(%(event_type)b::text, 1) = '*' AND starts_with(f.event_type, left(%(event_type)b::text, -1)))
        )
    ORDER BY f.seq
    LIMIT %(count_max)b::bigint
) AS m
GROUP BY m.state, m.event_type
ORDER BY m.state ASC, deliveries DESC, m.event_type ASC;
