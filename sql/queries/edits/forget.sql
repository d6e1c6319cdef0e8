-- Take from forgotten users the edits of which no row is made any more: where a profile is left all but the company,
-- which a deleted user has none of, serve it.
DELETE FROM consumer.edits AS e
USING identity.stack_user_profiles AS m, consumer.settings AS s
WHERE
    e.user_id = ANY(%(user_ids)b::uuid[])
    AND e.user_id = m.stack_user_id
    AND m.is_forgotten
    AND (e.field = 'company_id' OR (s.delete_policy = 'hard' AND NOT m.is_held));
