-- When the next question about a suspect of a run may be asked; null if none is open.
SELECT min(coalesce(s.asked_at + %(asked_again_after)b::interval, now())) AS due_at
FROM consumer.suspects AS s
WHERE
    s.run_id = %(run_id)b::uuid
    AND s.kind NOT IN ('listed_user', 'listed_team')
    AND s.confirmed_at IS NULL;
