-- Take up to a batch of failed deliveries that are due again; skip those another worker holds. While the database is
-- ahead of this worker's release, known_types is not null: leave what waits for a newer release and is still unknown.
WITH claimed AS (
    DELETE FROM consumer.failures
    WHERE seq = ANY(ARRAY(
        SELECT f.seq
        FROM consumer.failures AS f
        WHERE
            f.state = 'retrying'
            AND f.next_attempt_at <= now()
            AND (
                f.error_code <> 'newer_release'
                OR %(known_types)b::text[] IS NULL
                OR (
                    SELECT o.source || ' ' || o.event_type
                    FROM consumer.outbox AS o
                    WHERE o.seq = f.seq
                ) = ANY(%(known_types)b::text[])
            )
        ORDER BY f.next_attempt_at
        LIMIT %(batch_size)b::integer
        FOR UPDATE OF f SKIP LOCKED
    ))
    RETURNING seq, attempts
)

SELECT
    c.seq,
    o.source,
    o.message_id,
    o.event_type,
    o.user_id,
    o.team_id,
    TRUE AS has_failed,
    c.attempts,
    c.seq = ANY((SELECT consumer.pruned_repeats(ARRAY(SELECT claimed.seq FROM claimed)))::bigint[]) AS is_pruned
FROM claimed AS c
INNER JOIN consumer.outbox AS o ON c.seq = o.seq;
