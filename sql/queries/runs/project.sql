-- The project whose users this database holds. No row: nothing came by the API yet.
SELECT project_id
FROM consumer.project;
