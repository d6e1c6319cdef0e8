-- Mark claimed deliveries done, all with the same outcome.
INSERT INTO consumer.outcomes (seq, outcome)
SELECT
    seq,
    %(outcome)b::text
FROM unnest(%(seqs)b::bigint[]) AS claimed (seq)
ORDER BY seq;
