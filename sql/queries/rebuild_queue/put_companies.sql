-- Queue companies to be made anew: their own facts first, and after the users what only users tell of them.
INSERT INTO consumer.rebuild (stage, id)
SELECT DISTINCT
    s.stage,
    c.company_id
FROM unnest(%(company_ids)b::uuid[]) AS c (company_id)
CROSS JOIN unnest(%(stages)b::smallint[]) AS s (stage)
ORDER BY s.stage, c.company_id
ON CONFLICT (stage, id) DO UPDATE
    SET
        attempts = excluded.attempts,
        due_at = excluded.due_at,
        error = excluded.error;
