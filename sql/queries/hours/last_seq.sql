-- The last delivery that is committed.
SELECT coalesce(max(seq), 0) AS seq
FROM consumer.outbox;
