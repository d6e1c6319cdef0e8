-- Store an edit of a user's profile and return its message id.
SELECT identity.edit_profile(%(user_id)b::uuid, %(edits)b::jsonb);
