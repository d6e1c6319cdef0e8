-- Whether users wait to be looked for a home again.
SELECT exists(
    SELECT FROM consumer.rehome
    WHERE due_at <= now()
) AS is_due;
