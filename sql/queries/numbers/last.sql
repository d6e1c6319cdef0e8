-- The number of the last delivery that is committed; 0 without any.
SELECT coalesce(max(seq), 0) AS seq
FROM consumer.outbox;
