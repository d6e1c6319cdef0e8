-- Delete the made-up user as DELETE_POLICY=soft does.
WITH mirror AS (
    UPDATE identity.stack_user_profiles
    SET deleted_at = now()
    WHERE stack_user_id = %(user_id)b::uuid
)

UPDATE identity.profiles
SET deleted_at = now()
WHERE user_id = %(user_id)b::uuid;
