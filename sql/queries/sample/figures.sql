-- How much is pending, to be made anew and tried again, each counted up to a hundred thousand; when the next failed
-- delivery is tried again, when the last one died, how many runs go on, and how long the newest thousand took from
-- receipt to profile, in seconds.
WITH pending AS (
    SELECT seq
    FROM consumer_masked.pending
    ORDER BY seq
    LIMIT 100000
),

anew AS (
    SELECT id
    FROM consumer_masked.rebuild
    ORDER BY stage, id
    LIMIT 100000
),

homes AS (
    SELECT id
    FROM consumer_masked.rehome
    ORDER BY id
    LIMIT 100000
),

retrying AS (
    SELECT next_attempt_at
    FROM consumer_masked.failures
    WHERE state = 'retrying'
    ORDER BY next_attempt_at
    LIMIT 100000
),

waiting AS (
    SELECT
        count(*) AS retrying,
        min(next_attempt_at) AS next_attempt_at
    FROM retrying
),

dead AS (
    SELECT max(failed_at) AS died_at
    FROM consumer_masked.failures
    WHERE state = 'dead'
),

newest AS (
    SELECT
        seq,
        at
    FROM consumer_masked.outcomes
    WHERE outcome IN ('applied', 'unchanged', 'stale')
    ORDER BY seq DESC
    LIMIT 1000
),

took AS (
    SELECT
        percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (
            ORDER BY extract(EPOCH FROM n.at - o.received_at)::double precision
        ) AS seconds
    FROM newest AS n
    INNER JOIN consumer_masked.outbox AS o ON n.seq = o.seq
    WHERE o.source IN ('stack', 'app')
),

runs AS (
    SELECT count(*) AS running
    FROM consumer_masked.runs
    WHERE finished_at IS NULL AND abandoned_at IS NULL
),

log AS (
    SELECT count(*) > 0 AS has_any
    FROM (
        SELECT o.seq
        FROM consumer_masked.outbox AS o
        ORDER BY o.seq DESC
        LIMIT 1
    ) AS last
)

SELECT
    (SELECT count(*) FROM pending) AS pending,
    least((SELECT count(*) FROM anew) + (SELECT count(*) FROM homes), 100000) AS anew,
    waiting.retrying,
    waiting.next_attempt_at,
    dead.died_at,
    log.has_any,
    runs.running,
    took.seconds AS took_seconds
FROM waiting
CROSS JOIN dead
CROSS JOIN log
CROSS JOIN runs
CROSS JOIN took;
