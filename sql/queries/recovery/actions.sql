-- The newest actions that put stored data right, of the newest thousand of all: at most `size` that were ordered to be
-- done in the background, and at most `size` others.
SELECT
    a.id,
    a.at,
    a.actor,
    a.action,
    a.filter,
    a.seen_count,
    a.affected,
    a.reason,
    a.is_order
FROM (
    SELECT
        n.id,
        n.at,
        n.actor,
        n.action,
        n.filter,
        n.seen_count,
        n.affected,
        n.reason,
        b.id IS NOT NULL AS is_order,
        row_number() OVER (PARTITION BY b.id IS NOT NULL ORDER BY n.at DESC, n.id DESC) AS place
    FROM (
        SELECT
            id,
            at,
            actor,
            action,
            filter,
            seen_count,
            affected,
            reason
        FROM consumer_masked.actions
        ORDER BY at DESC, id DESC
        LIMIT 1000
    ) AS n
    LEFT JOIN consumer_masked.background AS b ON n.id = b.id
    WHERE n.action NOT IN ('sign_in', 'reveal', 'refused', 'export')
) AS a
WHERE a.place <= %(size)b::integer
ORDER BY a.at DESC, a.id DESC;
