-- Set claimed deliveries aside, due at once for a worker that knows their type (queue/claim_retries).
INSERT INTO consumer.failures (seq, state, attempts, next_attempt_at, error_code, error, source, event_type)
SELECT
    seq,
    'retrying',
    attempts,
    now(),
    %(error_code)b::text,
    %(error)b::text,
    source,
    event_type
FROM unnest(
    %(seqs)b::bigint[], %(attempts)b::integer[], %(sources)b::text[], %(event_types)b::text[]
) AS claimed (seq, attempts, source, event_type)
ORDER BY seq;
