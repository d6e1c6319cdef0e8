-- Take the company that has waited longest for re-homing; skip those that another worker holds.
SELECT
    id,
    company_id,
    next_user_id,
    last_user_id,
    attempts,
    seq
FROM consumer.rehome
WHERE due_at <= now()
ORDER BY id
LIMIT 1
FOR UPDATE SKIP LOCKED;
