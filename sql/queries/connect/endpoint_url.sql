-- The address of the endpoint that brings the project's webhooks. No row: `consumer connect` has not run.
SELECT endpoint_url
FROM consumer.project
WHERE endpoint_url IS NOT NULL;
