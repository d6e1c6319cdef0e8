-- The companies whose users wait for another home, those due first, at most `size`; each with the place that it has
-- come to among its users by id, from nought to one.
SELECT
    r.company_id,
    c.name,
    r.attempts,
    r.due_at,
    ('x' || left(r.next_user_id::text, 8))::bit(32)::bigint
    / greatest(('x' || left(r.last_user_id::text, 8))::bit(32)::bigint, 1)::double precision AS place
FROM consumer_masked.rehome AS r
LEFT JOIN consumer_masked.companies AS c ON r.company_id = c.id
ORDER BY r.due_at, r.id
LIMIT %(size)b::integer;
