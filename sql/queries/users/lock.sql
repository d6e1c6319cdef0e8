-- Lock users by their mirror rows, in key order; insert missing rows, leave the others unchanged. Return the inserted.
INSERT INTO identity.stack_user_profiles AS known (stack_user_id)
SELECT unnest(%(user_ids)b::uuid[]) AS user_id
ORDER BY user_id
ON CONFLICT (stack_user_id) DO UPDATE SET sync_version = known.sync_version WHERE FALSE
RETURNING stack_user_id;
