-- How many deliveries these numbers are, received since when, and how many of them are not done, by state.
-- As in listing/chosen, OFFSET 0 keeps the planner from joining.
SELECT
    count(*) AS deliveries,
    count(*) FILTER (WHERE one.is_pending) AS pending,
    count(*) FILTER (WHERE one.state = 'retrying') AS retrying,
    count(*) FILTER (WHERE one.state = 'dead') AS dead,
    min(one.received_at) AS first_received_at
FROM unnest(%(seqs)b::bigint[]) AS n (seq)
INNER JOIN LATERAL ( -- noqa: ST05
    SELECT
        o.received_at,
        p.seq IS NOT NULL AS is_pending,
        f.state
    FROM consumer_masked.outbox AS o
    LEFT JOIN consumer_masked.pending AS p ON o.seq = p.seq
    LEFT JOIN consumer_masked.failures AS f ON o.seq = f.seq
    WHERE o.seq = n.seq
    ORDER BY o.seq
    OFFSET 0
) AS one ON TRUE;
