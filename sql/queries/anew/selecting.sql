-- The deliveries from Stack that are done and name one of these companies as a user's selected team, with the company.
-- The memberships tell of the users; after OFFSET 0 a body is read only if its user has such a membership.
SELECT
    s.seq,
    s.company_id
FROM (
    SELECT
        o.seq,
        f.company_id,
        convert_from(coalesce(o.reduced, o.body), 'UTF8')::jsonb #>> '{data,selected_team,id}' AS selected_id
    FROM consumer.memberships AS f
    INNER JOIN consumer.outbox AS o ON f.user_id = o.user_id
    INNER JOIN consumer.outcomes AS d ON o.seq = d.seq AND d.outcome <> 'discarded'
    WHERE
        f.company_id = ANY(%(company_ids)b::uuid[])
        AND f.is_implied
        AND o.source <> 'app'
        AND o.event_type IN ('user.created', 'user.updated', 'user.signed_in', 'user.signed_out')
    ORDER BY o.seq
    OFFSET 0
) AS s
WHERE lower(s.selected_id) = s.company_id::text
ORDER BY s.seq;
