-- Note that an application's constraint keeps this deleted user's profile: from now on it is anonymised, not removed.
UPDATE identity.stack_user_profiles
SET is_held = TRUE
WHERE stack_user_id = %(user_id)b::uuid;
