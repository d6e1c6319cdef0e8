-- Take the reasons out of the actions about a user or one of their deliveries: people write names into them.
UPDATE consumer.actions
SET reason = NULL
WHERE
    reason IS NOT NULL
    AND (
        filter ->> 'user_id' = %(user_id)b::uuid::text
        OR filter -> 'user_ids' ? %(user_id)b::uuid::text
        OR filter -> 'message_ids' ?| ARRAY(
            SELECT o.message_id
            FROM consumer.outbox AS o
            WHERE o.user_id = %(user_id)b::uuid
        )
        OR EXISTS (
            SELECT
            FROM consumer.outbox AS o
            WHERE o.user_id = %(user_id)b::uuid AND actions.filter -> 'seqs' @> to_jsonb(o.seq)
        )
    );
