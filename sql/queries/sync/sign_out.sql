-- Store a sign-out as the application; return its message id, null for a repeat.
SELECT identity.sign_out(%(user_id)b::uuid, %(at)b::timestamptz, %(message_id)b::text);
