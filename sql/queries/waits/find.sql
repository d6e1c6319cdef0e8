-- The done or dead ones of these deliveries of the application, each with the profile of its user.
SELECT
    message_id,
    state,
    profile
FROM consumer.app_deliveries(%(message_ids)b::text[])
WHERE state IN ('done', 'dead');
