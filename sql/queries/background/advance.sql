-- Move an action on, and count what the page affected.
WITH counted AS (
    UPDATE consumer.actions
    SET affected = affected + %(affected)b::bigint
    WHERE id = %(id)b::uuid
)

UPDATE consumer.background
SET
    place = %(place)b::jsonb,
    result = %(result)b::jsonb,
    error = NULL,
    stepped_at = now(),
    finished_at = CASE WHEN %(is_finished)b::boolean THEN now() END
WHERE id = %(id)b::uuid;
