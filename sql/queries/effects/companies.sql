-- Make a placeholder of each declared company; one that is known stays as it is. Returns the deliveries that made one.
WITH declared AS MATERIALIZED (
    SELECT
        o.seq,
        (convert_from(o.body, 'UTF8')::jsonb #>> '{data,id}')::uuid AS id
    FROM consumer.outbox AS o
    WHERE o.seq = ANY(%(seqs)b::bigint[])
),

made AS (
    INSERT INTO identity.companies (id)
    SELECT DISTINCT id
    FROM declared
    ORDER BY id
    ON CONFLICT (id) DO NOTHING
    RETURNING id
)

SELECT coalesce(array_agg(d.seq), '{}') AS seqs
FROM declared AS d
INNER JOIN made AS m ON d.id = m.id;
