-- Audit the claimed sign-ins and sign-outs, each only once, except those older than the audit; return the newly audited
-- deliveries.
-- claimed is MATERIALIZED, because joining through users would read every delivery they ever sent.
WITH claimed AS MATERIALIZED (
    SELECT
        seq,
        user_id,
        event_type,
        source,
        message_id
    FROM consumer.outbox
    WHERE
        seq = ANY(%(seqs)b::bigint[])
        AND event_type IN ('user.signed_in', 'user.signed_out')
        AND received_at >= coalesce((SELECT s.audited_since FROM consumer.settings AS s), '-infinity')
),

audited AS (
    INSERT INTO identity.profile_audit (user_id, company_id, operation, source, message_id, seq)
    SELECT
        o.user_id,
        p.company_id,
        split_part(o.event_type, '.', 2),
        o.source,
        o.message_id,
        o.seq
    FROM claimed AS o
    LEFT JOIN identity.profiles AS p ON o.user_id = p.user_id
    ORDER BY o.user_id, o.seq
    ON CONFLICT (user_id, source, message_id) WHERE operation IN ('signed_in', 'signed_out') DO NOTHING
    RETURNING seq
)

SELECT coalesce(array_agg(seq), '{}') AS seqs
FROM audited;
