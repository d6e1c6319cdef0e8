-- The time of arrival of the oldest delivery that is kept, by the start of the primary key.
SELECT received_at
FROM consumer.outbox
ORDER BY seq
LIMIT 1;
