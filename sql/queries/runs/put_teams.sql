-- Remember teams whose members are still to be listed; return how many are new.
WITH new AS (
    INSERT INTO consumer.run_teams (run_id, team_id)
    SELECT
        %(run_id)b::uuid,
        t.team_id
    FROM unnest(%(team_ids)b::uuid[]) AS t (team_id)
    ORDER BY t.team_id
    ON CONFLICT DO NOTHING
    RETURNING team_id
)

SELECT count(*) AS new_count
FROM new;
