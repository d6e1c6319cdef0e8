-- A first version by `consumer adopt`, yours to change.
-- The worker runs it with the ids of the changed users, in the transaction that changes their profiles. It may run
-- again for the same users, and the result must be the same. Write a percent sign twice.
WITH changed AS (
    SELECT
        user_id,
        user_id{cast} AS their_key
    FROM unnest(%(user_ids)b::uuid[]) AS u (user_id)
)
