-- Count differences that a run has repaired.
INSERT INTO consumer.run_repairs AS known (run_id, kind, repaired)
SELECT
    %(run_id)b::uuid,
    a.kind,
    a.repaired
FROM unnest(%(kinds)b::text[], %(counts)b::bigint[]) AS a (kind, repaired)
ORDER BY a.kind
ON CONFLICT (run_id, kind) DO UPDATE
    SET repaired = known.repaired + excluded.repaired;
