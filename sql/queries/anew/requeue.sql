-- Queue users of ended companies, and behind them the companies. What waits already keeps its time: a company waits for
-- the last user that could not be made anew and still holds it, else the two would be tried in turn without a pause.
WITH users AS (
    INSERT INTO consumer.rebuild (stage, id)
    SELECT
        2,
        u.user_id
    FROM unnest(%(user_ids)b::uuid[]) AS u (user_id)
    ORDER BY u.user_id
    ON CONFLICT (stage, id) DO NOTHING
)

INSERT INTO consumer.rebuild (stage, id, due_at)
SELECT
    3,
    c.company_id,
    (
        SELECT greatest(now(), max(r.due_at))
        FROM consumer.rebuild AS r
        WHERE r.stage = 2 AND r.id = ANY(%(user_ids)b::uuid[])
    )
FROM unnest(%(company_ids)b::uuid[]) AS c (company_id)
ORDER BY c.company_id
ON CONFLICT (stage, id) DO UPDATE SET due_at = excluded.due_at;
