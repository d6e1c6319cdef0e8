-- The deliveries that rows of these users, or of these companies, are made of: done and not discarded; grouped by
-- source and type, in the order of their numbers. Of companies only those that name one as their team.
SELECT
    o.source,
    o.event_type,
    array_agg(o.seq ORDER BY o.seq) AS seqs,
    array_agg(o.user_id ORDER BY o.seq) AS user_ids,
    array_agg(o.team_id ORDER BY o.seq) AS team_ids
FROM consumer.outbox AS o
INNER JOIN consumer.outcomes AS d ON o.seq = d.seq AND d.outcome <> 'discarded'
WHERE o.user_id = ANY(%(user_ids)b::uuid[]) OR o.team_id = ANY(%(company_ids)b::uuid[])
GROUP BY o.source, o.event_type
ORDER BY o.source, o.event_type;
