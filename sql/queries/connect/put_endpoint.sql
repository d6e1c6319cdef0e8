-- Record the address of the endpoint that brings the project's webhooks.
UPDATE consumer.project
SET endpoint_url = %(url)b::text
WHERE endpoint_url IS DISTINCT FROM %(url)b::text;
