-- The open run of a kind, if there is one.
SELECT id
FROM consumer.runs
WHERE kind = %(kind)b::text AND finished_at IS NULL AND abandoned_at IS NULL;
