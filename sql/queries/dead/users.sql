-- How many users the dead deliveries of each group are about, groups as in dead/groups; of the newest `look_max` ones.
-- A subquery for each delivery, because a join may read the whole log.
SELECT
    f.key,
    count(DISTINCT f.user_id) AS users
FROM (
    SELECT
        d.seq,
        CASE WHEN %(by_type)b::boolean THEN coalesce(d.event_type, 'unreadable') ELSE d.error_code END AS key,
        (
            SELECT o.user_id FROM consumer_masked.outbox AS o
            WHERE o.seq = d.seq
        ) AS user_id
    FROM consumer_masked.failures AS d
    WHERE d.state = 'dead'
    ORDER BY d.seq DESC
    LIMIT %(look_max)b::integer
) AS f
GROUP BY f.key;
