-- Set a claimed delivery aside for good.
INSERT INTO consumer.failures (seq, state, attempts, error_code, error, source, event_type)
VALUES (
    %(seq)b::bigint,
    'dead',
    %(attempts)b::integer,
    %(error_code)b::text,
    %(error)b::text,
    %(source)b::text,
    %(event_type)b::text
);
