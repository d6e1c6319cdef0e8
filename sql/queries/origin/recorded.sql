-- The server and database that are recorded; no row before the first migrate.
SELECT
    server,
    database_oid,
    database_name
FROM consumer.origin;
