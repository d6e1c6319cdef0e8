-- Record the server and database that this is from now on.
INSERT INTO consumer.origin (server, database_oid, database_name)
VALUES (
    %(server)b::text,
    %(database_oid)b::bigint,
    %(database_name)b::text
)
ON CONFLICT (id) DO UPDATE SET
    server = excluded.server,
    database_oid = excluded.database_oid,
    database_name = excluded.database_name,
    recorded_at = excluded.recorded_at;
