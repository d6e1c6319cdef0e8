-- Add the deliveries of a range of numbers to the hours of their arrival in UTC. date_trunc takes a fifth longer.
INSERT INTO consumer.hours (source, hour, n)
SELECT
    source,
    date_bin('1 hour', received_at, 'epoch') AS hour,
    count(*) AS n
FROM consumer.outbox
WHERE seq > %(after_seq)b::bigint AND seq <= %(until_seq)b::bigint
GROUP BY source, date_bin('1 hour', received_at, 'epoch')
ORDER BY source, hour
ON CONFLICT (source, hour) DO UPDATE SET n = hours.n + excluded.n;
