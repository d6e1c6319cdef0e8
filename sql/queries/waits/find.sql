-- Of these deliveries of the application: those that are done or dead, with the profile of whom each concerns.
SELECT
    message_id,
    state,
    profile
FROM consumer.app_deliveries(%(message_ids)b::text[])
WHERE state IN ('done', 'dead');
