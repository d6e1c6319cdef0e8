-- Delete edits of forgotten users that no row is derived from. A kept profile still uses all edits except the one of
-- the company, because a deleted user has no company.
DELETE FROM consumer.edits AS e
USING identity.stack_user_profiles AS m
WHERE
    e.user_id = ANY(%(user_ids)b::uuid[])
    AND e.user_id = m.stack_user_id
    AND m.is_forgotten
    AND (e.field = 'company_id' OR m.is_removed);
