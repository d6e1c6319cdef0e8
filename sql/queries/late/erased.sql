-- Those of these users that are erased.
SELECT m.stack_user_id
FROM identity.stack_user_profiles AS m
WHERE m.is_erased AND m.stack_user_id = ANY(%(user_ids)b::uuid[]);
