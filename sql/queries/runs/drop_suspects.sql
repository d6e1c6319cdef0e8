-- Forget what runs of a kind suspected, when another one of the kind is complete.
DELETE FROM consumer.suspects
WHERE run_id IN (
        SELECT r.id
        FROM consumer.runs AS r
        WHERE
            r.kind = %(kind)b::text
            AND r.id <> %(run_id)b::uuid
            AND (r.finished_at IS NOT NULL OR r.abandoned_at IS NOT NULL)
    );
