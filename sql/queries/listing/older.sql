-- The newest delivery up to this number: where a search that has come so far goes on.
SELECT
    seq,
    received_at
FROM consumer_masked.outbox
WHERE seq <= %(floor)b::bigint
ORDER BY seq DESC
LIMIT 1;
