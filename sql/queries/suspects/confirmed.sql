-- The next suspects of a run that both answers lack.
SELECT
    s.kind,
    s.team_id,
    s.user_id,
    s.permission_id,
    s.asked_at,
    s.confirmed_at AS requested_at
FROM consumer.suspects AS s
WHERE s.run_id = %(run_id)b::uuid AND s.confirmed_at IS NOT NULL
ORDER BY s.kind, s.team_id, s.user_id, s.permission_id
LIMIT %(page_size)b::integer;
