-- The newest edit of each field of a user, withdrawn ones too: their value is null.
SELECT
    e.field,
    e.value,
    e.seq,
    o.occurred_at AS at,
    c.id IS NOT NULL AND c.deleted_at IS NULL AS is_company_active
FROM consumer_masked.edits AS e
LEFT JOIN consumer_masked.outbox AS o ON e.seq = o.seq
LEFT JOIN consumer_masked.companies AS c ON e.field = 'company_id' AND e.value = c.id::text
WHERE e.user_id = %(user_id)b::uuid
ORDER BY e.field;
