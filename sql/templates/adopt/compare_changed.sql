WITH changed AS (
    SELECT
        stack_user_id AS user_id,
        stack_user_id{cast} AS their_key
    FROM identity.stack_user_profiles
    WHERE has_profile
)
