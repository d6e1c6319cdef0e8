-- The first stage in which anything waits; null: nothing does. Later stages wait for it, but for nothing that failed
-- and is not due again.
SELECT min(stage) AS stage
FROM consumer.rebuild
WHERE attempts = 0 OR due_at <= now();
