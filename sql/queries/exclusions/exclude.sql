-- Exclude deliveries for good, in whatever state they are, but for those that a worker is applying now, and erasures:
-- what they removed would not return. Return the excluded ones, and which of them were done. A worker may have applied
-- some since they were chosen.
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
        WHERE seq = ANY(ARRAY(SELECT chosen.seq FROM chosen))
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
        FALSE AS was_done
    FROM taken
    UNION ALL
    SELECT
        seq,
        '' AS remark,
        TRUE AS was_done
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
    was_done
FROM excluded;
