-- Rename the made-up user.
UPDATE identity.profiles
SET full_name = 'Rehearsal again'
WHERE user_id = %(user_id)b::uuid;
