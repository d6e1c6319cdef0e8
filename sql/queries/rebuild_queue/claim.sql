-- Lock the next page of a stage, by id; skip what another worker holds.
SELECT
    id,
    attempts
FROM consumer.rebuild
WHERE stage = %(stage)b::smallint AND due_at <= now()
ORDER BY id
LIMIT %(page_size)b::integer
FOR UPDATE SKIP LOCKED;
