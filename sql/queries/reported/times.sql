-- How many requests or batches fell into each bucket of a histogram, in each step of a time; the smallest bucket is 1.
-- A process of another release may have other buckets, which can't be added to ours: its reports are left out.
SELECT
    date_bin(%(step)b::interval, r.at, timestamptz '2000-01-01 00:00:00+00') AS at,
    b.bucket,
    sum(b.n::numeric)::bigint AS n
FROM consumer_masked.reports AS r
CROSS JOIN LATERAL jsonb_array_elements_text(r.histograms -> %(histogram)b::text) WITH ORDINALITY AS b (n, bucket)
WHERE
    r.at > now() - %(time)b::interval
    AND jsonb_array_length(r.histograms -> %(histogram)b::text) = %(buckets)b::integer
GROUP BY 1, 2
ORDER BY 1, 2;
