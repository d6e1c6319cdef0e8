-- The server, database and project that are recorded; no row before the first migrate.
SELECT
    server,
    database_oid,
    database_name,
    project_id
FROM consumer.origin;
