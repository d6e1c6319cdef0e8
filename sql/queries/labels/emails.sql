-- The masked addresses of users, by id.
SELECT
    stack_user_id,
    stack_primary_email
FROM consumer_masked.mirror
WHERE stack_user_id = ANY(%(user_ids)b::uuid[]) AND stack_primary_email IS NOT NULL;
