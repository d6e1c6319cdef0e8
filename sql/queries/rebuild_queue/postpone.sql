-- Queue again what could not be made anew, due when its delay is over, and note why.
INSERT INTO consumer.rebuild (stage, id, attempts, due_at, error)
VALUES (
    %(stage)b::smallint, %(id)b::uuid, %(attempts)b::integer, now() + %(delay)b::interval, %(error)b::text
)
ON CONFLICT (stage, id) DO UPDATE
    SET
        attempts = excluded.attempts,
        due_at = excluded.due_at,
        error = excluded.error;
