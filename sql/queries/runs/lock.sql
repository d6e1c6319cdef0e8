-- Lock a run if it is open and still at this place: then nobody stores this page beside us. No row: it has gone on.
SELECT id
FROM consumer.runs
WHERE
    id = %(run_id)b::uuid
    AND stage = %(stage)b::text
    AND restarts = %(restarts)b::integer
    AND cursor IS NOT DISTINCT FROM %(cursor)b::text
    AND finished_at IS NULL
    AND abandoned_at IS NULL
FOR UPDATE;
