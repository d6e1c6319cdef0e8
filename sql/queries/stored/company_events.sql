-- The deliveries that rows of these companies are made of: done and not discarded. Of all memberships in a company only
-- the newest, because each says the same of it: a company may have a hundred thousand. What repeats a removed delivery
-- (prune) is no fact. With until: only those received until then. Default companies of today count at any time.
WITH found AS MATERIALIZED (
    SELECT
        o.seq,
        o.team_id AS company_id,
        o.source,
        o.event_type,
        d.outcome,
        o.event_type = ANY(%(membership_types)b::text[]) AS is_membership
    FROM consumer.outbox AS o
    INNER JOIN consumer.outcomes AS d ON o.seq = d.seq AND d.outcome <> 'discarded'
    WHERE
        o.team_id = ANY(%(company_ids)b::uuid[])
        AND o.event_type = ANY(%(team_types)b::text[] || %(membership_types)b::text[])
        AND (
            %(until)b::timestamptz IS NULL
            OR o.received_at <= %(until)b::timestamptz
            OR o.event_type = 'company.declared'
        )
),

counted AS (
    SELECT f.*
    FROM found AS f
    WHERE
        NOT f.seq = ANY((
            SELECT consumer.pruned_repeats(array_agg(s.seq))
            FROM found AS s
            WHERE s.outcome = 'stale'
        )::bigint[])
)

SELECT
    c.seq,
    c.company_id,
    c.source,
    c.event_type
FROM counted AS c
WHERE NOT c.is_membership
UNION ALL
(
    SELECT DISTINCT ON (c.company_id)
        c.seq,
        c.company_id,
        c.source,
        c.event_type
    FROM counted AS c
    WHERE c.is_membership
    ORDER BY c.company_id ASC, c.seq DESC
)
ORDER BY company_id, seq;
