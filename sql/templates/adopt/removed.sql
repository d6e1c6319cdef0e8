-- The profile was removed (DELETE_POLICY=hard): your row stays, because others may refer to it. Personal data goes.
removed AS (
    UPDATE {table} AS theirs
    SET
        {removals}
    FROM changed
    INNER JOIN identity.stack_user_profiles AS m ON changed.user_id = m.stack_user_id
    WHERE
        theirs.{key} = changed.their_key
        AND m.deleted_at IS NOT NULL
        AND NOT EXISTS (SELECT FROM identity.profiles AS p WHERE p.user_id = changed.user_id)
    RETURNING theirs.{key}
)
