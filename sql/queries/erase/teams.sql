-- The teams that deliveries or tables connect with a user, and whether no other user was ever in them.
SELECT
    t.team_id,
    NOT EXISTS (
        SELECT FROM consumer.memberships AS f
        WHERE f.company_id = t.team_id AND f.user_id <> %(user_id)b::uuid
    )
    AND NOT EXISTS (
        SELECT FROM consumer.outbox AS o
        WHERE o.team_id = t.team_id AND o.user_id <> %(user_id)b::uuid
    ) AS is_own
FROM (
    SELECT f.company_id AS team_id
    FROM consumer.memberships AS f
    WHERE f.user_id = %(user_id)b::uuid
    UNION
    SELECT o.team_id
    FROM consumer.outbox AS o
    WHERE o.user_id = %(user_id)b::uuid AND o.team_id IS NOT NULL
) AS t
ORDER BY t.team_id;
