-- Lock a complete run until the transaction ends: one process at a time records answers about its suspects.
SELECT id
FROM consumer.runs
WHERE id = %(run_id)b::uuid
FOR UPDATE;
