-- Mark claimed deliveries done, all with the same outcome, and tell so for the log.
WITH put AS (
    INSERT INTO consumer.outcomes (seq, outcome)
    SELECT
        seq,
        %(outcome)b::text
    FROM unnest(%(seqs)b::bigint[]) AS claimed (seq)
)

SELECT
    seq,
    message_id,
    event_type,
    user_id,
    %(outcome)b::text AS outcome
FROM consumer.outbox
WHERE seq = ANY(%(seqs)b::bigint[])
ORDER BY seq;
