-- The unfinished known action whose last page is the longest ago. What puts deliveries back to pending waits until few
-- are pending, and what failed waits a while: another action can go on meanwhile.
SELECT
    b.id,
    a.actor,
    a.action,
    a.filter,
    a.reason,
    b.place,
    b.result
FROM consumer.background AS b
INNER JOIN consumer.actions AS a ON b.id = a.id
WHERE
    b.finished_at IS NULL
    -- A newer release may know more.
    AND a.action = ANY(%(known)b::text[])
    AND (b.error IS NULL OR b.stepped_at < now() - interval '10 seconds')
    AND (
        a.action NOT IN ('retry', 'replay', 'undiscard')
        OR (
            SELECT count(*)
            FROM (
                SELECT FROM consumer.pending
                -- Claims leave dead entries at the other end of the index.
                ORDER BY seq DESC
                LIMIT %(pending_max)b::integer
            ) AS waiting
        ) < %(pending_max)b::integer
    )
ORDER BY b.stepped_at
LIMIT 1;
