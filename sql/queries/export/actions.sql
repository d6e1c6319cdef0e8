-- The actions that were aimed at a user or one of their deliveries, as JSON.
SELECT to_jsonb(a)::text AS document
FROM consumer.actions AS a
WHERE
    a.filter ->> 'user_id' = %(user_id)b::uuid::text
    OR a.filter -> 'user_ids' ? %(user_id)b::uuid::text
    OR a.filter -> 'message_ids' ?| ARRAY(
        SELECT o.message_id
        FROM consumer.outbox AS o
        WHERE o.user_id = %(user_id)b::uuid
    )
    OR EXISTS (
        SELECT
        FROM consumer.outbox AS o
        WHERE o.user_id = %(user_id)b::uuid AND a.filter -> 'seqs' @> to_jsonb(o.seq)
    )
ORDER BY a.at, a.id;
