SELECT count(*) AS unknown_users
FROM {table} AS t
WHERE NOT EXISTS (SELECT FROM identity.stack_user_profiles AS m WHERE m.stack_user_id{cast} = t.{key})
