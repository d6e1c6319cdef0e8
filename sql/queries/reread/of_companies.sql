-- The deliveries with a reduced body that are done and tell of these companies: their own, or, with is_named_by_users,
-- those of users that selected one.
SELECT o.seq
FROM consumer.outbox AS o
INNER JOIN consumer.outcomes AS d ON o.seq = d.seq AND d.outcome <> 'discarded'
WHERE
    NOT %(is_named_by_users)b::boolean
    AND o.team_id = ANY(%(company_ids)b::uuid[])
    AND o.reduced IS NOT NULL
UNION ALL
SELECT o.seq
FROM consumer.memberships AS f
INNER JOIN consumer.outbox AS o ON f.user_id = o.user_id AND o.reduced IS NOT NULL
INNER JOIN consumer.outcomes AS d ON o.seq = d.seq AND d.outcome <> 'discarded'
WHERE
    %(is_named_by_users)b::boolean
    AND f.company_id = ANY(%(company_ids)b::uuid[])
    AND f.is_implied
ORDER BY seq;
