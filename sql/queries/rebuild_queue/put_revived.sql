-- Queue those of these users that were forgotten: reconcile was wrong about them, and their data is in the outbox.
INSERT INTO consumer.rebuild (stage, id)
SELECT
    2,
    stack_user_id
FROM identity.stack_user_profiles
WHERE stack_user_id = ANY(%(user_ids)b::uuid[]) AND deleted_at IS NULL AND is_forgotten
ORDER BY stack_user_id
ON CONFLICT (stage, id) DO NOTHING;
