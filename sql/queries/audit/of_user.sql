-- The newest audit rows of a user by deliveries in a span of numbers, at most `size`.
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
WHERE user_id = %(user_id)b::uuid AND seq >= %(lowest)b::bigint AND seq < %(before)b::bigint
ORDER BY id DESC
LIMIT %(size)b::integer;
