-- Suspect the listed users and teams that are deleted here: by a reconciliation alone, which may have been wrong, or by
-- an event, which no list takes back. A deletion within the lag of a replica explains itself.
INSERT INTO consumer.suspects (run_id, kind, user_id, team_id)
SELECT
    %(run_id)b::uuid,
    CASE WHEN m.deletion_at IS NULL THEN 'revived_user' ELSE 'listed_user' END,
    m.stack_user_id,
    NULL::uuid AS team_id
FROM identity.stack_user_profiles AS m
WHERE m.stack_user_id = ANY(%(user_ids)b::uuid[]) AND m.deleted_at < %(before)b::timestamptz
UNION ALL
SELECT
    %(run_id)b::uuid,
    CASE WHEN c.deletion_at IS NULL THEN 'revived_team' ELSE 'listed_team' END,
    NULL::uuid AS user_id,
    c.id
FROM identity.companies AS c
WHERE c.id = ANY(%(team_ids)b::uuid[]) AND c.deleted_at < %(before)b::timestamptz
ON CONFLICT DO NOTHING;
