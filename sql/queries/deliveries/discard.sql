-- Exclude dead deliveries for good; a delivery that is no longer dead stays as it is.
-- The failure row is deleted, so the reason quotes its error.
WITH discarded AS (
    DELETE FROM consumer.failures
    WHERE seq = ANY(ARRAY(
        SELECT seq
        FROM consumer.failures
        WHERE seq = ANY(%(seqs)b::bigint[]) AND state = 'dead'
        ORDER BY seq
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING
        seq,
        error_code,
        error
),

finished AS (
    INSERT INTO consumer.outcomes (seq, outcome)
    SELECT
        seq,
        'discarded'
    FROM discarded
)

INSERT INTO consumer.exclusions (seq, excluded_by, reason)
SELECT
    seq,
    coalesce(%(excluded_by)b::text, session_user),
    %(reason)b::text || ' (was dead: ' || error_code || ', ' || error || ')'
FROM discarded;
