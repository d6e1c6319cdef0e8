-- How far each of these deliveries of the application has come, as far as the request that asks may know.
SELECT
    request_id,
    state,
    is_repeat,
    error_code,
    error,
    profile
FROM consumer.app_deliveries(%(message_ids)b::text[], %(request_ids)b::uuid[]);
