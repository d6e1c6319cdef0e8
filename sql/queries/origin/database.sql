-- Tell this database from the others of the server.
SELECT
    oid::bigint,
    datname::text
FROM pg_database
WHERE datname = current_database();
