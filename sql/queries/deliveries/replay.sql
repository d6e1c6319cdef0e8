-- Put deliveries back to pending; those that are pending, discarded or claimed by a worker stay as they are.
-- Skip a locked failure, because a worker is trying it now. Wait for a locked outcome, because it may stay done.
WITH undone AS (
    DELETE FROM consumer.outcomes
    WHERE seq = ANY(ARRAY(
        SELECT seq
        FROM consumer.outcomes
        WHERE seq = ANY(%(seqs)b::bigint[]) AND outcome <> 'discarded'
        ORDER BY seq
        FOR UPDATE
    ))
    RETURNING seq
),

freed AS (
    DELETE FROM consumer.failures
    WHERE seq = ANY(ARRAY(
        SELECT seq
        FROM consumer.failures
        WHERE seq = ANY(%(seqs)b::bigint[])
        ORDER BY seq
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING seq
)

INSERT INTO consumer.pending (seq, has_failed)
SELECT
    seq,
    FALSE AS has_failed
FROM undone
UNION ALL
SELECT
    seq,
    TRUE AS has_failed
FROM freed;
