-- A first version by `consumer adopt`, yours to change.
-- The worker runs it with the users of whom something is new, in the same transaction. It is run again for the same
-- users, so it must come to the same. A sign for per cent is written twice.
WITH changed AS (
    SELECT
        user_id,
        user_id{cast} AS their_key
    FROM unnest(%(user_ids)b::uuid[]) AS u (user_id)
)
