-- Take up to a batch of deliveries for this transaction; skip those another worker holds.
-- after_seq is a hint that spares dead index entries: a batch that comes back short asks again from 0.
WITH claimed AS (
    DELETE FROM consumer.pending
    WHERE seq = ANY(ARRAY(
        SELECT seq
        FROM consumer.pending
        WHERE seq > %(after_seq)b::bigint
        ORDER BY seq
        LIMIT %(batch_size)b::integer
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING seq, has_failed
)

SELECT
    c.seq,
    o.source,
    o.message_id,
    o.event_type,
    o.user_id,
    c.has_failed
FROM claimed AS c
INNER JOIN consumer.outbox AS o ON c.seq = o.seq;
