-- How much waits in each stage of the queue of rebuilds, of its first `look_max` rows; how much of that has failed and
-- is not due yet, with one of the reasons.
SELECT
    s.stage,
    count(*) AS waiting,
    count(*) FILTER (WHERE w.due_at > now()) AS postponed,
    max(w.error) AS error
FROM unnest(%(stages)b::smallint[], %(look_max)b::integer[]) AS s (stage, look_max)
INNER JOIN LATERAL ( -- noqa: ST05
    SELECT
        r.due_at,
        r.error
    FROM consumer_masked.rebuild AS r
    WHERE r.stage = s.stage
    ORDER BY r.id
    LIMIT s.look_max
) AS w ON TRUE
GROUP BY s.stage
ORDER BY s.stage;
