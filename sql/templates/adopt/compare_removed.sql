UNION ALL
SELECT
    t.{key}::text AS id,
    d.column_name
FROM changed
INNER JOIN identity.stack_user_profiles AS m ON changed.user_id = m.stack_user_id
INNER JOIN {table} AS t ON t.{key} = changed.their_key
CROSS JOIN LATERAL (VALUES {removed_differences}) AS d (column_name, differs)
WHERE
    d.differs
    AND m.deleted_at IS NOT NULL
    AND NOT EXISTS (SELECT FROM identity.profiles AS p WHERE p.user_id = changed.user_id)
