-- The deliveries that rows of these users are made of: done and not discarded; grouped by source and type, in the order
-- of their numbers; of each group also those with a reduced body. What repeats a removed delivery (prune) is no fact.
-- With until: only those received until then. Erasures of today count at any time.
WITH found AS MATERIALIZED (
    SELECT
        o.source,
        o.event_type,
        o.seq,
        o.user_id,
        o.reduced IS NOT NULL AS is_reduced,
        d.outcome
    FROM consumer.outbox AS o
    INNER JOIN consumer.outcomes AS d ON o.seq = d.seq AND d.outcome <> 'discarded'
    WHERE
        o.user_id = ANY(%(user_ids)b::uuid[])
        AND (
            %(until)b::timestamptz IS NULL
            OR o.received_at <= %(until)b::timestamptz
            OR o.event_type = 'user.erased'
        )
)

SELECT
    f.source,
    f.event_type,
    array_agg(f.seq ORDER BY f.seq) AS seqs,
    array_agg(f.user_id ORDER BY f.seq) AS user_ids,
    coalesce(array_agg(f.seq ORDER BY f.seq) FILTER (WHERE f.is_reduced), '{}') AS reduced
FROM found AS f
WHERE
    NOT f.seq = ANY((
        SELECT consumer.pruned_repeats(array_agg(s.seq))
        FROM found AS s
        WHERE s.outcome = 'stale'
    )::bigint[])
GROUP BY f.source, f.event_type
ORDER BY f.source, f.event_type;
