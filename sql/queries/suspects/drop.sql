-- Suspect these no longer; return how many of each kind were suspects still. They are hashed: an id may be null, and
-- IS NOT DISTINCT FROM would compare each with all suspects of the run.
WITH dropped AS (
    DELETE FROM consumer.suspects AS s
    USING unnest(
        %(kinds)b::text[], %(team_ids)b::uuid[], %(user_ids)b::uuid[], %(permission_ids)b::text[]
    ) AS a (kind, team_id, user_id, permission_id)
    WHERE
        s.run_id = %(run_id)b::uuid
        AND s.kind = a.kind
        AND coalesce(s.team_id::text, '') = coalesce(a.team_id::text, '')
        AND coalesce(s.user_id::text, '') = coalesce(a.user_id::text, '')
        AND coalesce(s.permission_id, '') = coalesce(a.permission_id, '')
    RETURNING s.kind
)

SELECT
    d.kind,
    count(*) AS dropped
FROM dropped AS d
GROUP BY d.kind;
