-- The newest actions that put stored data right, at most `size`, of the newest thousand of all.
SELECT
    a.id,
    a.at,
    a.actor,
    a.action,
    a.filter,
    a.seen_count,
    a.affected,
    a.reason
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
) AS a
WHERE a.action NOT IN ('sign_in', 'reveal', 'refused', 'export')
ORDER BY a.at DESC, a.id DESC
LIMIT %(size)b::integer;
