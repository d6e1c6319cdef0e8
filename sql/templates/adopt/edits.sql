-- Store as edits the values that only your rows hold, so that `identity` shows them too. Values that Stack, an edit or a
-- membership names stay as they are. Run it once, as the login that migrated, before your rows follow.
SELECT
    count(identity.edit_profile(found.user_id, found.edits)) AS edits,
    count(*) FILTER (WHERE found.is_unknown) AS unknown_users
FROM (
    SELECT
        u.user_id,
        m.stack_user_id IS NULL AS is_unknown,
        jsonb_strip_nulls(
            jsonb_build_object(
                {edit_values}
            )
        ) AS edits
    FROM (
        -- An id that is no UUID is none of Stack's.
        SELECT
            CASE WHEN t.{key}::text ~* '^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}$' THEN t.{key}::text::uuid END
            AS user_id,
            {edit_columns}
        FROM {table} AS t
    ) AS u
    CROSS JOIN consumer.settings AS s
    LEFT JOIN identity.profiles AS p ON u.user_id = p.user_id
    LEFT JOIN identity.stack_user_profiles AS m ON u.user_id = m.stack_user_id
    WHERE u.user_id IS NOT NULL AND m.deleted_at IS NULL
) AS found
WHERE found.edits <> '{{}}';
