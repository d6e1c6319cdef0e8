-- Record the project whose users this database holds, unless one is recorded.
INSERT INTO consumer.project (project_id)
VALUES (%(project_id)b::text)
ON CONFLICT DO NOTHING;
