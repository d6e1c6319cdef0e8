-- The newest actions before one, the newest first.
SELECT
    id,
    at,
    actor,
    via,
    role,
    action,
    filter,
    seen_count,
    affected,
    reason
FROM consumer_masked.actions
WHERE
    %(before_at)b::timestamptz IS NULL
    OR (at, id) < (%(before_at)b::timestamptz, %(before_id)b::uuid)
ORDER BY at DESC, id DESC
LIMIT %(size)b::integer;
