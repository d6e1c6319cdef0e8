-- How many users the dead deliveries of each group are about, groups as in dead/groups; of the newest `look_max` ones.
SELECT
    f.key,
    count(DISTINCT o.user_id) AS users
FROM (
    SELECT
        seq,
        CASE WHEN %(by_type)b::boolean THEN coalesce(event_type, 'unreadable') ELSE error_code END AS key
    FROM consumer_masked.failures
    WHERE state = 'dead'
    ORDER BY seq DESC
    LIMIT %(look_max)b::integer
) AS f
INNER JOIN consumer_masked.outbox AS o ON f.seq = o.seq
GROUP BY f.key;
