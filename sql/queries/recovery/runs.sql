-- The newest runs over the sender's API, at most `size`, each with what it has repaired.
SELECT
    r.id,
    r.kind,
    r.stage,
    r.restarts,
    r.users,
    r.teams,
    r.memberships,
    r.permissions,
    r.stored,
    r.unusable,
    r.calls,
    r.begun_at,
    r.finished_at,
    r.abandoned_at,
    (
        SELECT coalesce(sum(p.repaired), 0)::bigint FROM consumer_masked.run_repairs AS p
        WHERE p.run_id = r.id
    ) AS repaired
FROM consumer_masked.runs AS r
WHERE %(id)b::uuid IS NULL OR r.id = %(id)b::uuid
ORDER BY r.begun_at DESC, r.id DESC
LIMIT %(size)b::integer;
