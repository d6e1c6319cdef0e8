-- Note each event of a batch that is applied.
INSERT INTO bench.applied (event)
SELECT e.event FROM unnest($1::bigint[]) AS e (event);
