-- The last change of each field of a profile, of its newest audit rows up to `rows_max`.
SELECT DISTINCT ON (c.field)
    c.field,
    a.at,
    a.operation,
    a.source,
    a.message_id,
    a.seq
FROM (
    SELECT
        n.id,
        n.at,
        n.operation,
        n.source,
        n.message_id,
        n.seq,
        n.changed_fields
    FROM consumer_masked.audit AS n
    WHERE n.user_id = %(user_id)b::uuid
    ORDER BY n.id DESC
    LIMIT %(rows_max)b::integer
) AS a
CROSS JOIN LATERAL unnest(a.changed_fields) AS c (field)
ORDER BY c.field ASC, a.id DESC;
