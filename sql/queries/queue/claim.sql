-- Take up to a batch of deliveries for this transaction; skip those another worker holds.
-- after_seq is a hint that spares dead index entries: a batch that comes back short asks again from 0.
-- is_pruned: it repeats a removed delivery (prune), beside whose removal it was stored.
-- Leave out what is dead, retrying or done, because a receiver may queue any number. A delivery that was queued by the
-- transaction that stored it can't be done: the equal xmin spares the look. Only these have an age, because a replayed
-- one is late on purpose.
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
    RETURNING seq, has_failed, xmin AS queued_by
)

SELECT
    c.seq,
    o.source,
    o.message_id,
    o.event_type,
    o.user_id,
    o.team_id,
    c.has_failed,
    0 AS attempts,
    c.seq = ANY((SELECT consumer.pruned_repeats(ARRAY(SELECT claimed.seq FROM claimed)))::bigint[]) AS is_pruned,
    CASE
        WHEN c.queued_by = o.xmin THEN extract(EPOCH FROM clock_timestamp() - o.received_at)::double precision
    END AS age_seconds
FROM claimed AS c
INNER JOIN consumer.outbox AS o ON c.seq = o.seq
WHERE
    NOT c.seq = ANY(ARRAY(
        SELECT f.seq
        FROM consumer.failures AS f
        WHERE f.seq = ANY(ARRAY(SELECT claimed.seq FROM claimed))
    ))
    AND (
        c.queued_by = o.xmin
        OR NOT EXISTS (
            SELECT FROM consumer.outcomes AS d
            WHERE d.seq = c.seq
        )
    );
