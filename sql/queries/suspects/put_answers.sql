-- Record which suspects the answers to requests of this time lack: for the first time, or for the second. The time
-- between both counts from the end of the first one, which may have waited for its turn. Another process may have
-- recorded its own answers meanwhile; then these tell nothing.
UPDATE consumer.suspects AS s
SET
    asked_at = coalesce(s.asked_at, now()),
    confirmed_at = CASE WHEN s.asked_at IS NOT NULL THEN %(requested_at)b::timestamptz END
FROM unnest(
    %(kinds)b::text[],
    %(team_ids)b::uuid[],
    %(user_ids)b::uuid[],
    %(permission_ids)b::text[],
    %(asked_ats)b::timestamptz[]
) AS a (kind, team_id, user_id, permission_id, asked_at)
WHERE
    s.run_id = %(run_id)b::uuid
    AND s.kind = a.kind
    AND s.team_id IS NOT DISTINCT FROM a.team_id
    AND s.user_id IS NOT DISTINCT FROM a.user_id
    AND s.permission_id IS NOT DISTINCT FROM a.permission_id
    AND s.asked_at IS NOT DISTINCT FROM a.asked_at
    AND s.confirmed_at IS NULL;
