-- Whether an action with this id was recorded.
SELECT exists(
    SELECT FROM consumer.actions
    WHERE id = %(id)b::uuid
);
