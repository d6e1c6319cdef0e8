-- Texts of people and names of companies in which any of these values stands: table, key and column of each; at most a
-- thousand. The audit of the user itself is none of them.
SELECT
    r.relation,
    r.row_key,
    r.column_name
FROM (
    SELECT
        'consumer.exclusions' AS relation,
        e.seq::text AS row_key,
        t.column_name,
        t.value
    FROM consumer.exclusions AS e
    CROSS JOIN unnest(ARRAY['excluded_by', 'reason'], ARRAY[e.excluded_by, e.reason]) AS t (column_name, value)
    UNION ALL
    SELECT
        'consumer.past_exclusions' AS relation,
        p.seq::text AS row_key,
        t.column_name,
        t.value
    FROM consumer.past_exclusions AS p
    CROSS JOIN unnest(
        ARRAY['excluded_by', 'reason', 'taken_back_by', 'taken_back_reason'],
        ARRAY[p.excluded_by, p.reason, p.taken_back_by, p.taken_back_reason]
    ) AS t (column_name, value)
    UNION ALL
    SELECT
        'identity.profile_audit' AS relation,
        a.id::text AS row_key,
        t.column_name,
        t.value
    FROM identity.profile_audit AS a
    CROSS JOIN unnest(ARRAY['edited_by', 'reason'], ARRAY[a.edited_by, a.reason]) AS t (column_name, value)
    WHERE a.user_id <> %(user_id)b::uuid
    UNION ALL
    SELECT
        'consumer.actions' AS relation,
        d.id::text AS row_key,
        t.column_name,
        t.value
    FROM consumer.actions AS d
    CROSS JOIN unnest(ARRAY['actor', 'reason'], ARRAY[d.actor, d.reason]) AS t (column_name, value)
    UNION ALL
    SELECT
        'identity.companies' AS relation,
        c.id::text AS row_key,
        'name' AS column_name,
        c.name AS value
    FROM identity.companies AS c
    WHERE NOT c.id = ANY(%(team_ids)b::uuid[])
) AS r
WHERE EXISTS (
    SELECT FROM unnest(%(texts)b::text[]) AS n (needle)
    WHERE position(n.needle IN r.value) > 0
    )
ORDER BY r.relation, r.row_key, r.column_name
LIMIT 1000;
