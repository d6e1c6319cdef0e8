-- Lock those of these users or companies that still wait; skip what another worker holds.
SELECT
    id,
    attempts
FROM consumer.rebuild
WHERE stage = %(stage)b::smallint AND id = ANY(%(ids)b::uuid[])
ORDER BY id
FOR UPDATE SKIP LOCKED;
