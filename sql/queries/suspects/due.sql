-- The suspects of the next page of questions: so many users or teams of which Stack was never asked, or was asked long
-- enough ago, each with all that one answer tells of.
WITH due AS MATERIALIZED (
    SELECT
        s.kind,
        s.team_id,
        s.user_id,
        s.permission_id,
        s.asked_at,
        CASE
            WHEN s.team_id IS NULL THEN 'user'
            WHEN s.user_id IS NULL THEN 'team'
            ELSE 'members'
        END AS question,
        coalesce(s.team_id, s.user_id) AS subject_id
    FROM consumer.suspects AS s
    WHERE
        s.run_id = %(run_id)b::uuid
        AND s.kind NOT IN ('listed_user', 'listed_team')
        AND s.confirmed_at IS NULL
        AND (s.asked_at IS NULL OR s.asked_at <= now() - %(asked_again_after)b::interval)
),

asked AS (
    SELECT DISTINCT
        d.question,
        d.subject_id
    FROM due AS d
    ORDER BY d.question, d.subject_id
    LIMIT %(page_size)b::integer
)

SELECT
    d.kind,
    d.team_id,
    d.user_id,
    d.permission_id,
    d.asked_at,
    now() AS requested_at
FROM due AS d
INNER JOIN asked AS a ON d.question = a.question AND d.subject_id = a.subject_id;
