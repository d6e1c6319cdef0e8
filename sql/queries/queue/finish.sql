-- Mark claimed deliveries done, each with its outcome.
INSERT INTO consumer.outcomes (seq, outcome)
SELECT
    seq,
    outcome
FROM unnest(%(seqs)b::bigint[], %(outcomes)b::text[]) AS claimed (seq, outcome)
ORDER BY seq;
