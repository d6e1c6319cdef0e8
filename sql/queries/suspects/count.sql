-- How many of each kind a run suspects, and how many of them both answers lack.
SELECT
    s.kind,
    count(*) AS suspected,
    count(s.confirmed_at) AS confirmed
FROM consumer.suspects AS s
WHERE s.run_id = %(run_id)b::uuid
GROUP BY s.kind;
