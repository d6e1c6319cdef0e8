-- Whether a company has this id, or any delivery names a team with it.
SELECT
    EXISTS (
        SELECT FROM consumer_masked.companies AS c
        WHERE c.id = %(id)b::uuid
    )
    OR EXISTS (
        SELECT FROM consumer_masked.outbox AS o
        WHERE o.team_id = %(id)b::uuid
    ) AS is_team;
