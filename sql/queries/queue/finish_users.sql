-- Mark claimed user deliveries done, each with its outcome for its user; return the outcomes.
-- claimed is MATERIALIZED, because joining through users would read every delivery they ever sent.
WITH claimed AS MATERIALIZED (
    SELECT
        seq,
        user_id,
        event_type,
        source,
        occurred_at,
        message_id
    FROM consumer.outbox
    WHERE seq = ANY(%(seqs)b::bigint[])
),

finished AS MATERIALIZED (
    SELECT
        o.seq,
        CASE
            WHEN o.seq = ANY(%(applied)b::bigint[]) THEN 'applied'
            WHEN
                o.event_type IN ('user.deleted', 'user.erased')
                AND o.occurred_at = m.deleted_at
                AND o.user_id = ANY(%(changed)b::uuid[])
                THEN 'applied'
            WHEN o.event_type IN ('user.deleted', 'user.erased', 'user.signed_in', 'user.signed_out') THEN 'unchanged'
            WHEN consumer.version(o.source, o.occurred_at, o.message_id) <> m.version THEN 'stale'
            WHEN o.user_id = ANY(%(changed)b::uuid[]) THEN 'applied'
            ELSE 'unchanged'
        END AS outcome
    FROM claimed AS o
    INNER JOIN identity.stack_user_profiles AS m ON o.user_id = m.stack_user_id
)

INSERT INTO consumer.outcomes (seq, outcome)
SELECT
    seq,
    outcome
FROM finished
ORDER BY seq
RETURNING seq, outcome;
