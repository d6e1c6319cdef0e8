-- Set a claimed delivery aside for good.
INSERT INTO consumer.failures (seq, state, attempts, error_code, error)
VALUES (%(seq)b::bigint, 'dead', %(attempts)b::integer, %(error_code)b::text, %(error)b::text);
