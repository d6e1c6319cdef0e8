-- The exclusions of deliveries about a user, as JSON: those that hold, and those that were taken back.
SELECT e.document
FROM (
    SELECT
        h.seq,
        h.excluded_at,
        to_jsonb(h)::text AS document
    FROM consumer.exclusions AS h
    UNION ALL
    SELECT
        p.seq,
        p.excluded_at,
        to_jsonb(p)::text AS document
    FROM consumer.past_exclusions AS p
) AS e
INNER JOIN consumer.outbox AS o ON e.seq = o.seq
WHERE o.user_id = %(user_id)b::uuid
ORDER BY e.seq, e.excluded_at;
