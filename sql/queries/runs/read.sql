-- A run, how many teams it still has to look at, and the database's clock.
SELECT
    r.id,
    r.kind,
    r.project_id,
    r.stage,
    r.restarts,
    r.cursor,
    r.cursor_millis,
    r.newest_millis,
    r.listed_at,
    r.users,
    r.teams,
    r.memberships,
    r.permissions,
    r.stored,
    r.unusable,
    r.calls,
    r.begun_at,
    r.finished_at,
    r.abandoned_at,
    (
        SELECT count(*) FROM consumer.run_teams AS t
        WHERE t.run_id = r.id
    ) AS teams_left,
    now() AS now
FROM consumer.runs AS r
WHERE r.id = %(run_id)b::uuid;
