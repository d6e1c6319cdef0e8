-- The teams that deliveries or tables connect with a user, and these that bodies name; whether no other user was
-- ever in them. What is discarded has told nothing.
SELECT
    t.team_id,
    NOT EXISTS (
        SELECT FROM consumer.memberships AS f
        WHERE f.company_id = t.team_id AND f.user_id <> %(user_id)b::uuid
    )
    AND NOT EXISTS (
        SELECT FROM consumer.outbox AS o
        LEFT JOIN consumer.outcomes AS d ON o.seq = d.seq
        WHERE
            o.team_id = t.team_id
            AND o.user_id <> %(user_id)b::uuid
            AND d.outcome IS DISTINCT FROM 'discarded'
    ) AS is_own
FROM (
    SELECT f.company_id AS team_id
    FROM consumer.memberships AS f
    WHERE f.user_id = %(user_id)b::uuid
    UNION
    SELECT o.team_id
    FROM consumer.outbox AS o
    WHERE o.user_id = %(user_id)b::uuid AND o.team_id IS NOT NULL
    UNION
    SELECT named.team_id
    FROM unnest(%(team_ids)b::uuid[]) AS named (team_id)
) AS t
ORDER BY t.team_id;
