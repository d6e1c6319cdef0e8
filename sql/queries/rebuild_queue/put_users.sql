-- Queue users to be made anew; those that wait already are due at once, in whole pages.
INSERT INTO consumer.rebuild (stage, id)
SELECT DISTINCT
    2,
    user_id
FROM unnest(%(user_ids)b::uuid[]) AS u (user_id)
ORDER BY user_id
ON CONFLICT (stage, id) DO UPDATE
    SET
        attempts = excluded.attempts,
        due_at = excluded.due_at,
        error = excluded.error;
