-- What verified each test event of Stack that was stored behind a number; null: it was recovered, not received.
SELECT verified_by
FROM consumer.outbox
WHERE seq > %(after_seq)b::bigint AND source = 'stack' AND event_type = 'stack.test';
