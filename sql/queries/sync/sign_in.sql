-- Store a sign-in as the application; return its message id, null for a repeat.
SELECT identity.sign_in(%(user_id)b::uuid, %(at)b::timestamptz, %(message_id)b::text);
