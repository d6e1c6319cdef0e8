-- The deliveries from Stack that are done and name one of these companies as a user's selected team, with the company.
-- The memberships tell of the users; MATERIALIZED: a body is read only if its user has such a membership. What repeats
-- a removed delivery (prune) is no fact. With until: only those received until then.
WITH named AS MATERIALIZED (
    SELECT
        o.seq,
        f.company_id,
        d.outcome,
        convert_from(coalesce(o.reduced, o.body), 'UTF8')::jsonb #>> '{data,selected_team,id}' AS selected_id
    FROM consumer.memberships AS f
    INNER JOIN consumer.outbox AS o ON f.user_id = o.user_id
    INNER JOIN consumer.outcomes AS d ON o.seq = d.seq AND d.outcome <> 'discarded'
    WHERE
        f.company_id = ANY(%(company_ids)b::uuid[])
        AND f.is_implied
        AND o.source <> 'app'
        AND o.event_type IN ('user.created', 'user.updated', 'user.signed_in', 'user.signed_out')
        AND (%(until)b::timestamptz IS NULL OR o.received_at <= %(until)b::timestamptz)
)

SELECT
    n.seq,
    n.company_id
FROM named AS n
WHERE
    lower(n.selected_id) = n.company_id::text
    AND NOT n.seq = ANY((
        SELECT consumer.pruned_repeats(array_agg(s.seq))
        FROM named AS s
        WHERE s.outcome = 'stale'
    )::bigint[])
ORDER BY n.seq;
