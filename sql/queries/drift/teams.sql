-- Count listed teams with news by kind: those without an event of their own here, and those with another content.
-- Neither those deleted here, nor those of which a newer event is known, nor those that the run has stored already.
WITH judged AS (
    SELECT CASE WHEN c.version >= '1' THEN 'stale_team' ELSE 'missing_team' END AS kind
    FROM unnest(%(team_ids)b::uuid[], %(message_ids)b::text[]) AS l (team_id, message_id)
    LEFT JOIN identity.companies AS c ON l.team_id = c.id
    WHERE
        c.deleted_at IS NULL
        AND coalesce(c.version < consumer.version('reconcile', %(occurred_at)b::timestamptz, ''), TRUE)
        AND NOT EXISTS (
            SELECT FROM consumer.outbox AS o
            WHERE o.source = 'reconcile' AND o.message_id = l.message_id
        )
)

SELECT
    j.kind,
    count(*) AS found
FROM judged AS j
GROUP BY j.kind;
