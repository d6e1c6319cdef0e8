-- The time of the last delivery of each source; a source without any is absent.
-- Stack's last is searched from the end of the log, 0.2 to 1 ms for each thousand deliveries of other sources since.
-- The unique index tells whether there is one at all, where EXISTS might read the table. The others' last are found by
-- outbox_other_sources; for ORDER BY seq the planner walked the primary key, 1.8 s in 500,000 rows.
WITH others AS (
    SELECT
        s.source,
        (
            SELECT max(o.received_at) FROM consumer.outbox AS o
            WHERE o.source = s.source AND o.source <> 'stack'
        ) AS received_at
    FROM unnest(ARRAY['app', 'backfill', 'reconcile', 'operator']) AS s (source)
)

SELECT
    source,
    received_at
FROM others
WHERE received_at IS NOT NULL
UNION ALL
(
    SELECT
        source,
        received_at
    FROM consumer.outbox
    WHERE
        source = 'stack'
        AND (
            SELECT min(o.message_id) FROM consumer.outbox AS o
            WHERE o.source = 'stack'
        ) IS NOT NULL
    ORDER BY seq DESC
    LIMIT 1
);
