-- Whether an action in the background is not finished.
SELECT exists(
    SELECT FROM consumer.background
    WHERE finished_at IS NULL
);
