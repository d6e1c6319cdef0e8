-- The number of the newest delivery; 0 if there is none.
SELECT coalesce(max(o.seq), 0)
FROM consumer.outbox AS o;
