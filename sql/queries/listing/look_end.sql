-- The delivery that a look leaves to the next one: behind `look_max` of the newest below the number `before` and above
-- `floor`, however far apart their numbers are; none if a look reaches all. The inner query reads the index only.
SELECT
    o.seq,
    o.received_at
FROM consumer_masked.outbox AS o
WHERE
    o.seq = (
        SELECT n.seq
        FROM consumer_masked.outbox AS n
        WHERE n.seq < %(before)b::bigint AND n.seq > %(floor)b::bigint
        ORDER BY n.seq DESC
        LIMIT 1 OFFSET %(look_max)b::integer
    );
