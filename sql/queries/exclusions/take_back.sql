-- Take exclusions back, and keep who excluded what, and why both. The deliveries are dead until they are checked again.
-- Return them.
WITH excluded AS (
    DELETE FROM consumer.exclusions
    WHERE seq = ANY(%(seqs)b::bigint[])
    RETURNING
        seq,
        excluded_by,
        reason,
        excluded_at
),

kept AS (
    INSERT INTO consumer.past_exclusions (
        seq, excluded_by, reason, excluded_at, taken_back_by, taken_back_reason
    )
    SELECT
        seq,
        excluded_by,
        reason,
        excluded_at,
        coalesce(%(taken_back_by)b::text, session_user),
        %(reason)b::text
    FROM excluded
),

opened AS (
    DELETE FROM consumer.outcomes
    WHERE seq IN (SELECT seq FROM excluded)
)

INSERT INTO consumer.failures (seq, state, attempts, error_code, error, source, event_type)
SELECT
    e.seq,
    'dead',
    0,
    'undiscarded',
    'taken back; not checked yet',
    o.source,
    o.event_type
FROM excluded AS e
INNER JOIN consumer.outbox AS o ON e.seq = o.seq
ORDER BY e.seq
RETURNING seq;
