-- The counts of a histogram's buckets in the last minutes, of all processes together; none if nothing was observed.
-- A process of another release may have other buckets, which can't be added to ours: its reports are left out.
SELECT sum(b.n::numeric)::bigint AS n
FROM consumer.reports AS r
CROSS JOIN jsonb_array_elements_text(r.histograms -> %(metric)b::text) WITH ORDINALITY AS b (n, place)
WHERE
    r.at > now() - %(minutes)b::integer * interval '1 minute'
    AND jsonb_array_length(r.histograms -> %(metric)b::text) = %(buckets)b::integer
GROUP BY b.place
ORDER BY b.place;
