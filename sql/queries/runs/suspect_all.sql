-- Suspect each user and company that lives here, when a run begins. Not those that signed up so lately that a replica
-- may not list them, and no company that a setting declared: it need be no team.
INSERT INTO consumer.suspects (run_id, kind, user_id, team_id)
SELECT
    %(run_id)b::uuid,
    'undeleted_user',
    m.stack_user_id,
    NULL::uuid AS team_id
FROM identity.stack_user_profiles AS m
WHERE m.deleted_at IS NULL AND coalesce(m.signed_up_at < now() - %(lag)b::interval, TRUE)
UNION ALL
SELECT
    %(run_id)b::uuid,
    'undeleted_team',
    NULL::uuid AS user_id,
    c.id
FROM identity.companies AS c
WHERE
    c.deleted_at IS NULL
    AND NOT EXISTS (
        SELECT FROM consumer.outbox AS o
        WHERE o.source = 'operator' AND o.event_type = 'company.declared' AND o.team_id = c.id
    );
