-- The numbers that deliveries received between two instants lie between, both ends left out; null for no instant.
-- consumer.seq_before allows for five minutes between a delivery's time and those of its neighbours, and looks at a
-- hundred of them, however far apart their numbers are.
SELECT
    (SELECT consumer_masked.seq_before(%(since)b::timestamptz)) AS floor,
    (
        SELECT o.seq
        FROM consumer_masked.outbox AS o
        WHERE o.seq > (SELECT consumer_masked.seq_before(%(until)b::timestamptz + interval '10 minutes'))
        ORDER BY o.seq
        LIMIT 1 OFFSET 100
    ) AS before;
