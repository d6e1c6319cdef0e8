-- Suspect no longer the users and teams that a page lists: each by the index, not all suspects of the run.
WITH listed_users AS (
    DELETE FROM consumer.suspects
    WHERE
        run_id = %(run_id)b::uuid
        AND kind = 'undeleted_user'
        AND team_id IS NULL
        AND user_id = ANY(%(user_ids)b::uuid[])
)

DELETE FROM consumer.suspects
WHERE
    run_id = %(run_id)b::uuid
    AND kind = 'undeleted_team'
    AND team_id = ANY(%(team_ids)b::uuid[]);
