-- Forget teams whose members are stored.
DELETE FROM consumer.run_teams
WHERE run_id = %(run_id)b::uuid AND team_id = ANY(%(team_ids)b::uuid[]);
