-- How many deliveries about a user are stored, since when, and how many of them are not done, by state.
SELECT
    count(*) AS deliveries,
    count(p.seq) AS pending,
    count(*) FILTER (WHERE f.state = 'retrying') AS retrying,
    count(*) FILTER (WHERE f.state = 'dead') AS dead,
    min(o.received_at) AS first_received_at
FROM consumer_masked.outbox AS o
LEFT JOIN consumer_masked.pending AS p ON o.seq = p.seq
LEFT JOIN consumer_masked.failures AS f ON o.seq = f.seq
WHERE o.user_id = %(user_id)b::uuid;
