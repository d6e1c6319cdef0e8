-- What one run has repaired, and what it suspects to differ and has not settled, by kind.
SELECT
    k.kind,
    sum(k.repaired)::bigint AS repaired,
    sum(k.suspected)::bigint AS suspected
FROM (
    SELECT
        kind,
        repaired,
        0 AS suspected
    FROM consumer_masked.run_repairs
    WHERE run_id = %(id)b::uuid
    UNION ALL
    SELECT
        s.kind,
        0 AS repaired,
        count(*) AS suspected
    FROM (
        SELECT kind
        FROM consumer_masked.suspects
        WHERE run_id = %(id)b::uuid
        ORDER BY kind
        LIMIT %(look_max)b::integer
    ) AS s
    GROUP BY s.kind
) AS k
GROUP BY k.kind
ORDER BY k.kind;
