-- Queue these companies in consumer.rehome, each because of a delivery about it.
INSERT INTO consumer.rehome (company_id, seq)
SELECT
    company_id,
    seq
FROM unnest(%(company_ids)b::uuid[], %(seqs)b::bigint[]) AS c (company_id, seq)
ORDER BY company_id;
