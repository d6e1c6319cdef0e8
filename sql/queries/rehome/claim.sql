-- Take the company whose users have waited longest to be looked through; skip those another worker is at.
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
