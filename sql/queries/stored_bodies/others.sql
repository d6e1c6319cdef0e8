-- The next page of the deliveries, in a range of numbers, that are not about a user but hold any of the user's values.
-- The body is null where only a name stands in it: names are listed, never replaced, and half of all bodies may hold a
-- short one.
SELECT
    c.seq,
    c.source,
    c.message_id,
    CASE WHEN c.is_own_team OR c.has_needle THEN c.body END AS body
FROM (
    SELECT
        o.seq,
        o.source,
        o.message_id,
        o.body,
        coalesce(o.team_id = ANY(%(team_ids)b::uuid[]), FALSE) AS is_own_team,
        exists(
            SELECT FROM unnest(%(needles)b::bytea[]) AS n (needle)
            WHERE position(n.needle IN o.body) > 0
        ) AS has_needle,
        exists(
            SELECT FROM unnest(%(names)b::bytea[]) AS n (needle)
            WHERE position(n.needle IN o.body) > 0
        ) AS has_name
    FROM consumer.outbox AS o
    WHERE
        o.seq > %(after_seq)b::bigint
        AND o.seq <= %(last_seq)b::bigint
        AND o.user_id IS DISTINCT FROM %(user_id)b::uuid
) AS c
WHERE c.is_own_team OR c.has_needle OR c.has_name
ORDER BY c.seq
LIMIT %(page_size)b::integer;
