-- A page of the actions in the background: those that go on, the newest first, then those that finished last; after
-- `before`, if it is given.
SELECT
    a.id,
    a.at,
    a.actor,
    a.via,
    a.role,
    a.action,
    a.filter,
    a.seen_count,
    a.affected,
    a.reason,
    b.begun_at,
    b.finished_at,
    b.result,
    b.error
FROM (
    SELECT
        id,
        begun_at,
        finished_at,
        result,
        error
    FROM consumer_masked.background
    WHERE
        %(before)b::uuid IS NULL
        OR (coalesce(finished_at, 'infinity'), begun_at, id) < (
            SELECT
                coalesce(last.finished_at, 'infinity'),
                last.begun_at,
                last.id
            FROM consumer_masked.background AS last
            WHERE last.id = %(before)b::uuid
        )
    ORDER BY coalesce(finished_at, 'infinity') DESC, begun_at DESC, id DESC
    LIMIT %(size)b::integer
) AS b
INNER JOIN consumer_masked.actions AS a ON b.id = a.id
ORDER BY coalesce(b.finished_at, 'infinity') DESC, b.begun_at DESC, b.id DESC;
