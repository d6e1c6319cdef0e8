-- Whether the erasure of a user is applied, and the rows that it changes are made anew.
SELECT
    EXISTS (
        SELECT FROM consumer.outcomes AS d
        INNER JOIN consumer.outbox AS o ON d.seq = o.seq
        WHERE o.source = 'operator' AND o.message_id = 'erase:' || %(user_id)b::uuid
    )
    AND NOT EXISTS (
        SELECT FROM consumer.rebuild AS r
        WHERE r.id = %(user_id)b::uuid OR r.id = ANY(%(company_ids)b::uuid[])
    );
