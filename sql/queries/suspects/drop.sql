-- Suspect these no longer; return how many of each kind were suspects still.
WITH dropped AS (
    DELETE FROM consumer.suspects AS s
    USING unnest(
        %(kinds)b::text[], %(team_ids)b::uuid[], %(user_ids)b::uuid[], %(permission_ids)b::text[]
    ) AS a (kind, team_id, user_id, permission_id)
    WHERE
        s.run_id = %(run_id)b::uuid
        AND s.kind = a.kind
        AND s.team_id IS NOT DISTINCT FROM a.team_id
        AND s.user_id IS NOT DISTINCT FROM a.user_id
        AND s.permission_id IS NOT DISTINCT FROM a.permission_id
    RETURNING s.kind
)

SELECT
    d.kind,
    count(*) AS dropped
FROM dropped AS d
GROUP BY d.kind;
