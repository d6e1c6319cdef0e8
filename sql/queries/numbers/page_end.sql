-- The number that ends a page of at most `page_size` deliveries: that of the last one, or `until_seq` if none are left
-- behind it.
SELECT CASE WHEN count(*) < %(page_size)b::bigint THEN %(until_seq)b::bigint ELSE max(p.seq) END AS seq
FROM (
    SELECT o.seq
    FROM consumer.outbox AS o
    WHERE o.seq > %(after_seq)b::bigint AND o.seq <= %(until_seq)b::bigint
    ORDER BY o.seq
    LIMIT %(page_size)b::bigint
) AS p;
