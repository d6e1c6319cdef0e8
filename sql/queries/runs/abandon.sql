-- Give up the open run of a kind, with the teams that it still has to look at and its suspects: if another is wanted in
-- its place, or if it never stored a page of its project, which was a mistake then.
WITH abandoned AS (
    UPDATE consumer.runs
    SET abandoned_at = now()
    WHERE
        kind = %(kind)b::text
        AND finished_at IS NULL
        AND abandoned_at IS NULL
        AND (%(is_new)b::boolean OR (calls = 0 AND project_id <> %(project_id)b::text))
    RETURNING id
),

forgotten AS (
    DELETE FROM consumer.suspects
    WHERE run_id IN (
            SELECT a.id
            FROM abandoned AS a
        )
)

DELETE FROM consumer.run_teams
WHERE run_id IN (
        SELECT a.id
        FROM abandoned AS a
    );
