-- What one delivery changed, by profile; at most `size` rows, because a team's delivery may have moved any number.
SELECT
    id,
    at,
    user_id,
    company_id,
    operation,
    changed_fields,
    previous_values,
    new_values,
    source,
    message_id,
    seq,
    edited_by,
    reason
FROM consumer_masked.audit
WHERE seq = %(seq)b::bigint
ORDER BY id
LIMIT %(size)b::integer;
