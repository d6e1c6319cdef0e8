-- Set a claimed delivery aside until its delay is over.
INSERT INTO consumer.failures (seq, state, attempts, next_attempt_at, error_code, error, source, event_type)
VALUES (
    %(seq)b::bigint,
    'retrying',
    %(attempts)b::integer,
    now() + %(delay)b::interval,
    %(error_code)b::text,
    %(error)b::text,
    %(source)b::text,
    %(event_type)b::text
);
