-- Make a placeholder of each declared company; one that is known stays as it is.
INSERT INTO identity.companies (id)
SELECT DISTINCT (convert_from(o.body, 'UTF8')::jsonb #>> '{data,id}')::uuid AS id
FROM consumer.outbox AS o
WHERE o.seq = ANY(%(seqs)b::bigint[])
ORDER BY id
ON CONFLICT (id) DO NOTHING;
