-- Of the newest deliveries that wait, fail or are dead, from below `before` to above `floor`, at most `look_max`: the
-- numbers of those that may match, newest first, and below which number the others lie; null if there are none.
-- What is pending knows neither source nor type, and a failure of an unreadable delivery no type. Failures of the other
-- state count as looked at: a few that are retried may lie among a million of dead ones.
WITH looked AS MATERIALIZED (
    SELECT
        q.seq,
        q.state,
        q.error_code,
        q.source,
        q.event_type
    FROM (
        (
            SELECT
                seq,
                state,
                error_code,
                source,
                event_type
            FROM consumer_masked.failures
            WHERE
                seq < %(before)b::bigint
                AND seq > %(floor)b::bigint
                AND '{retrying, dead}' && %(states)b::text[]
            ORDER BY seq DESC
            LIMIT %(look_max)b::integer + 1
        )
        UNION ALL
        (
            SELECT
                seq,
                'pending' AS state,
                NULL::text AS error_code,
                NULL::text AS source,
                NULL::text AS event_type
            FROM consumer_masked.pending
            WHERE
                seq < %(before)b::bigint
                AND seq > %(floor)b::bigint
                AND 'pending' = ANY(%(states)b::text[])
            ORDER BY seq DESC
            LIMIT %(look_max)b::integer + 1
        )
    ) AS q
    ORDER BY q.seq DESC
    LIMIT %(look_max)b::integer + 1
),

rest AS (SELECT CASE WHEN count(*) > %(look_max)b::integer THEN min(l.seq) + 1 END AS before FROM looked AS l)

SELECT
    ARRAY(
        SELECT l.seq
        FROM looked AS l
        WHERE
            (rest.before IS NULL OR l.seq >= rest.before)
            AND l.state = ANY(%(states)b::text[])
            AND (%(error_code)b::text IS NULL OR l.error_code = %(error_code)b::text)
            AND (%(source)b::text IS NULL OR l.source IS NULL OR l.source = %(source)b::text)
            AND (%(type_pattern)b::text IS NULL OR l.event_type IS NULL OR l.event_type LIKE %(type_pattern)b::text)
        ORDER BY l.seq DESC
    ) AS seqs,
    rest.before
FROM rest;
