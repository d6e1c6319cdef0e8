-- Whether any company waits for re-homing, and whether any user or company waits to be made anew.
SELECT
    exists(
        SELECT FROM consumer.rehome
        WHERE due_at <= now()
    ) AS is_rehoming,
    exists(
        SELECT FROM consumer.rebuild
        WHERE due_at <= now()
    ) AS is_rebuilding;
