-- Users deleted earlier get no row.
ours AS (
    SELECT
        {user_values},
        CASE WHEN p.deleted_at IS NOT NULL THEN 0 WHEN known.{key} IS NOT NULL THEN 1 ELSE 2 END AS turn
    FROM changed
    INNER JOIN identity.profiles AS p ON changed.user_id = p.user_id
    INNER JOIN identity.stack_user_profiles AS m ON p.user_id = m.stack_user_id
    LEFT JOIN known ON changed.their_key = known.{key}
    WHERE p.deleted_at IS NULL OR known.{key} IS NOT NULL
)
