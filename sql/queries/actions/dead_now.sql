-- How many of these deliveries are dead.
SELECT count(*)
FROM consumer_masked.failures
WHERE seq = ANY(%(seqs)b::bigint[]) AND state = 'dead';
