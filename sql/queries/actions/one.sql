-- One action, with its progress if it is done in the background.
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
FROM consumer_masked.actions AS a
LEFT JOIN consumer_masked.background AS b ON a.id = b.id
WHERE a.id = %(id)b::uuid;
