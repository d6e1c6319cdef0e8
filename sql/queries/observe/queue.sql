-- Whether anything waits for a worker, how long the oldest live delivery has been due, how many are dead, how many of
-- them died lately, since when and, of the newest thousand, most often of what. Runs fill the queue too, and their
-- deliveries are not live: an import has a source of its own, and what is replayed stands before deliveries that are
-- done. Behind 10,000 imported ones a live one is not looked for. What somebody discarded is done, but by no worker.
WITH head AS (
    SELECT seq
    FROM consumer.pending
    WHERE
        seq > (
            SELECT coalesce(max(d.seq), 0) FROM consumer.outcomes AS d
            WHERE d.outcome <> 'discarded'
        )
    ORDER BY seq
    LIMIT 10000
),

dead AS (
    SELECT count(*) AS dead
    FROM consumer.failures
    WHERE state = 'dead'
),

dying AS (
    SELECT
        count(*) AS died_lately,
        min(failed_at) AS dying_since
    FROM consumer.failures
    WHERE state = 'dead' AND failed_at > now() - %(dying_time)b::interval
),

newest_dead AS (
    SELECT
        error_code,
        error
    FROM consumer.failures
    WHERE state = 'dead' AND failed_at > now() - %(dying_time)b::interval
    ORDER BY failed_at DESC
    LIMIT 1000
)

SELECT
    EXISTS (SELECT FROM consumer.pending) OR EXISTS (SELECT FROM consumer.rehome)
    OR EXISTS (SELECT FROM consumer.rebuild) AS has_pending,
    coalesce(extract(EPOCH FROM now() - least(
        (
            SELECT o.received_at
            FROM head AS h
            INNER JOIN consumer.outbox AS o ON h.seq = o.seq
            WHERE o.source IN ('stack', 'app')
            ORDER BY h.seq
            LIMIT 1
        ),
        (
            SELECT min(f.next_attempt_at) FROM consumer.failures AS f
            WHERE f.state = 'retrying' AND f.next_attempt_at <= now()
        )
    ))::double precision, 0) AS due_seconds,
    dead.dead,
    dying.died_lately,
    dying.dying_since,
    (
        SELECT n.error_code || ', ' || n.error
        FROM newest_dead AS n
        GROUP BY n.error_code, n.error
        ORDER BY count(*) DESC, n.error_code ASC, n.error ASC
        LIMIT 1
    ) AS dying_of
FROM dead
CROSS JOIN dying;
