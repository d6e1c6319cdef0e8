-- Exclude deliveries for good that are in one of the states, but for those that another session holds, as a worker that
-- applies them, and erasures: what they removed would not return. Return what became of each: 'excluded'; 'undone',
-- because it was applied, perhaps since it was chosen; 'left_out', because it is held.
-- The failure row is deleted, so the reason quotes its error.
WITH chosen AS MATERIALIZED (
    SELECT seq
    FROM consumer.outbox
    WHERE seq = ANY(%(seqs)b::bigint[]) AND event_type IS DISTINCT FROM 'user.erased'
),

waiting AS (
    DELETE FROM consumer.pending
    WHERE seq = ANY(ARRAY(
        SELECT seq
        FROM consumer.pending
        WHERE seq = ANY(ARRAY(SELECT chosen.seq FROM chosen)) AND 'pending' = ANY(%(states)b::text[])
        ORDER BY seq
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING seq
),

failed AS (
    DELETE FROM consumer.failures
    WHERE seq = ANY(ARRAY(
        SELECT seq
        FROM consumer.failures
        WHERE seq = ANY(ARRAY(SELECT chosen.seq FROM chosen)) AND state = ANY(%(states)b::text[])
        ORDER BY seq
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING
        seq,
        ' (was ' || state || ': ' || error_code || ', ' || error || ')' AS remark
),

done AS (
    UPDATE consumer.outcomes
    SET outcome = 'discarded'
    WHERE seq = ANY(ARRAY(
        SELECT seq
        FROM consumer.outcomes
        WHERE
            seq = ANY(ARRAY(SELECT chosen.seq FROM chosen))
            AND outcome <> 'discarded'
            AND 'done' = ANY(%(states)b::text[])
        ORDER BY seq
        FOR UPDATE
    ))
    RETURNING seq
),

taken AS (
    SELECT
        seq,
        '' AS remark
    FROM waiting
    UNION
    SELECT
        seq,
        remark
    FROM failed
),

finished AS (
    INSERT INTO consumer.outcomes (seq, outcome)
    SELECT
        seq,
        'discarded'
    FROM taken
    ORDER BY seq
),

excluded AS (
    SELECT
        seq,
        remark,
        'excluded' AS became
    FROM taken
    UNION ALL
    SELECT
        seq,
        '' AS remark,
        'undone' AS became
    FROM done
),

kept AS (
    INSERT INTO consumer.exclusions (seq, excluded_by, reason)
    SELECT
        seq,
        coalesce(%(excluded_by)b::text, session_user),
        %(reason)b::text || remark
    FROM excluded
    ORDER BY seq
)

SELECT
    seq,
    became
FROM excluded
UNION ALL
-- As this statement began: a worker may have finished these since, so `done` does not have them either.
SELECT
    w.seq,
    'left_out' AS became
FROM (
    SELECT
        seq,
        'pending' AS state
    FROM consumer.pending
    WHERE seq = ANY(ARRAY(SELECT chosen.seq FROM chosen))
    UNION ALL
    SELECT
        seq,
        state
    FROM consumer.failures
    WHERE seq = ANY(ARRAY(SELECT chosen.seq FROM chosen))
) AS w
WHERE w.state = ANY(%(states)b::text[]) AND w.seq NOT IN (SELECT taken.seq FROM taken);
