-- The next teams whose members are to be listed.
SELECT team_id
FROM consumer.run_teams
WHERE run_id = %(run_id)b::uuid
ORDER BY team_id
LIMIT %(page_size)b::integer;
