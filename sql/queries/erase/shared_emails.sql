-- Those of these e-mail addresses that another user has, too.
SELECT DISTINCT m.stack_primary_email
FROM identity.stack_user_profiles AS m
WHERE m.stack_primary_email = ANY(%(emails)b::text[]) AND m.stack_user_id <> %(user_id)b::uuid;
