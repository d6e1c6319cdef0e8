-- Put deliveries back to pending; one that is pending, discarded or in a worker's hands stays as it is.
-- A failure that someone holds is being tried right now. A done one that someone holds is waited for: it may stay done.
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
