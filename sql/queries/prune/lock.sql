-- Lock those of these deliveries that are still done, and return them. What another transaction holds, because it
-- queues it again, is left for the next time.
SELECT seq
FROM consumer.outcomes
WHERE seq = ANY(%(seqs)b::bigint[]) AND outcome IN ('applied', 'unchanged', 'stale')
ORDER BY seq
FOR UPDATE SKIP LOCKED;
