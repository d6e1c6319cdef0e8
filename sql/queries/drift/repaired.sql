-- How many differences of each kind a run has repaired.
SELECT
    r.kind,
    r.repaired
FROM consumer.run_repairs AS r
WHERE r.run_id = %(run_id)b::uuid;
