-- Whether any company waits for re-homing.
SELECT exists(
    SELECT FROM consumer.rehome
    WHERE due_at <= now()
) AS is_due;
