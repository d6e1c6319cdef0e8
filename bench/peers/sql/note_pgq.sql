-- Note each event of a batch that is applied.
WITH events AS MATERIALIZED (
    SELECT b.ev_data::jsonb -> 'data' AS data FROM pgq.get_batch_events($1) AS b
)

INSERT INTO bench.applied (event)
SELECT (e.data ->> 'last_active_at_millis')::bigint FROM events AS e;
