-- The values of audit rows, by id.
SELECT
    a.id,
    a.previous_values,
    a.new_values,
    a.edited_by,
    a.reason
FROM identity.profile_audit AS a
INNER JOIN unnest(%(user_ids)b::uuid[], %(ids)b::bigint[]) AS wanted (user_id, id)
    ON a.user_id = wanted.user_id AND a.id = wanted.id;
