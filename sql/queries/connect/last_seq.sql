-- The last number that a stored delivery has; 0 without any.
SELECT coalesce(max(seq), 0) AS last_seq
FROM consumer.outbox;
