-- Set claimed deliveries aside, due at once for a worker that knows their type (queue/claim_retries).
INSERT INTO consumer.failures (seq, state, attempts, next_attempt_at, error_code, error)
SELECT
    seq,
    'retrying',
    attempts,
    now(),
    %(error_code)b::text,
    %(error)b::text
FROM unnest(%(seqs)b::bigint[], %(attempts)b::integer[]) AS claimed (seq, attempts)
ORDER BY seq;
