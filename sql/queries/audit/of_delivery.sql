-- What one delivery changed, by profile; at most `size` rows, because a team's delivery may have moved any number.
-- A range instead of an equality: only the index has its order, so no more rows are read than are asked for.
SELECT
    changed.id,
    changed.at,
    changed.user_id,
    changed.company_id,
    changed.operation,
    changed.changed_fields,
    changed.previous_values,
    changed.new_values,
    changed.source,
    changed.message_id,
    changed.seq,
    changed.edited_by,
    changed.reason
FROM (
    SELECT
        a.id,
        a.at,
        a.user_id,
        a.company_id,
        a.operation,
        a.changed_fields,
        a.previous_values,
        a.new_values,
        a.source,
        a.message_id,
        a.seq,
        a.edited_by,
        a.reason
    FROM consumer_masked.audit AS a
    WHERE a.seq >= %(seq)b::bigint AND a.seq <= %(seq)b::bigint
    ORDER BY a.seq
    LIMIT %(size)b::integer
) AS changed
ORDER BY changed.id;
