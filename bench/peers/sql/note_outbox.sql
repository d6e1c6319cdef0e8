-- Note each event of a batch that is applied.
WITH events AS MATERIALIZED (
    SELECT convert_from(o.body, 'UTF8')::jsonb -> 'data' AS data
    FROM consumer.outbox AS o
    WHERE o.seq = ANY(%(seqs)b::bigint[])
)

INSERT INTO bench.applied (event)
SELECT (e.data ->> 'last_active_at_millis')::bigint FROM events AS e;
