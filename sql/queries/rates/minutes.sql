-- What all processes counted together in each of the last minutes, by the names of their counters; minute 0 is now.
-- So is what they reported since this transaction began.
SELECT
    greatest(floor(extract(EPOCH FROM now() - r.at) / 60), 0)::integer AS minute,
    c.key AS counter,
    sum(c.value::numeric)::bigint AS n
FROM consumer.reports AS r
CROSS JOIN jsonb_each_text(r.counters) AS c (key, value)
WHERE r.at > now() - %(minutes)b::integer * interval '1 minute'
GROUP BY greatest(floor(extract(EPOCH FROM now() - r.at) / 60), 0)::integer, c.key;
