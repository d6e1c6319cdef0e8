-- Whether a user has a living profile that the caller may see.
SELECT exists(
    SELECT FROM identity.profiles
    WHERE user_id = %(user_id)b::uuid AND deleted_at IS NULL
);
