-- Note why an action ended, or why it waits.
UPDATE consumer.background
SET
    error = %(error)b::text,
    stepped_at = now(),
    finished_at = CASE WHEN %(is_final)b::boolean THEN now() END
WHERE id = %(id)b::uuid AND finished_at IS NULL;
