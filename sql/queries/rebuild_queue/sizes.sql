-- How many deliveries are stored about each of these users, in their order.
SELECT
    (
        SELECT count(*)
        FROM consumer.outbox AS o
        WHERE o.user_id = u.user_id
    ) AS deliveries
FROM unnest(%(user_ids)b::uuid[]) WITH ORDINALITY AS u (user_id, place)
ORDER BY u.place;
