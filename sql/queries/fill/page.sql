-- The next users with a present or past profile, by id.
SELECT stack_user_id AS user_id
FROM identity.stack_user_profiles
WHERE has_profile AND stack_user_id > %(after)b::uuid
ORDER BY stack_user_id
LIMIT %(page_size)b::integer;
