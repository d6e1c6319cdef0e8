-- The time of the last delivery of each source; a source without any is absent.
-- Stack's is searched among the newest 20,000 deliveries, of any source, in at most 10 ms. If others have filled these,
-- it is the latest of the hundred with the greatest message ids, which begin with their times: a message that was
-- repeated long after is missed then. The unique index leads to them, and tells whether there is one at all. The last
-- of the other sources are found by outbox_other_sources; for ORDER BY seq the planner walked the primary key, 1.8 s in
-- 500,000 rows.
WITH others AS (
    SELECT
        s.source,
        (
            SELECT max(o.received_at) FROM consumer.outbox AS o
            WHERE o.source = s.source AND o.source <> 'stack'
        ) AS received_at
    FROM unnest(ARRAY['app', 'backfill', 'reconcile', 'operator']) AS s (source)
),

stack AS (
    SELECT coalesce(
        (
            SELECT o.received_at FROM consumer.outbox AS o
            WHERE
                o.source = 'stack'
                AND o.seq > (SELECT max(n.seq) - 20000 FROM consumer.outbox AS n)
                AND (
                    SELECT min(m.message_id) FROM consumer.outbox AS m
                    WHERE m.source = 'stack'
                ) IS NOT NULL
            ORDER BY o.seq DESC
            LIMIT 1
        ),
        (
            SELECT max(n.received_at)
            FROM (
                SELECT o.received_at FROM consumer.outbox AS o
                WHERE o.source = 'stack'
                ORDER BY o.message_id COLLATE "C" DESC
                LIMIT 100
            ) AS n
        )
    ) AS received_at
)

SELECT
    source,
    received_at
FROM others
WHERE received_at IS NOT NULL
UNION ALL
SELECT
    'stack' AS source,
    received_at
FROM stack
WHERE received_at IS NOT NULL;
