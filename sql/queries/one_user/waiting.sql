-- The numbers of a user's deliveries among the newest that are pending, retrying or dead, `look_max` of each queue.
-- Each is looked up by itself, because a join might read the whole log.
SELECT q.seq
FROM (
    (
        SELECT p.seq
        FROM consumer_masked.pending AS p
        ORDER BY p.seq DESC
        LIMIT %(look_max)b::integer
    )
    UNION
    (
        SELECT f.seq
        FROM consumer_masked.failures AS f
        ORDER BY f.seq DESC
        LIMIT %(look_max)b::integer
    )
) AS q
WHERE
    %(user_id)b::uuid = (
        SELECT o.user_id FROM consumer_masked.outbox AS o
        WHERE o.seq = q.seq
    )
ORDER BY q.seq;
