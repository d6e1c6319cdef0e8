-- Record the server, database and project that this database works for from now on.
INSERT INTO consumer.origin (server, database_oid, database_name, project_id)
VALUES (
    %(server)b::text,
    %(database_oid)b::bigint,
    %(database_name)b::text,
    %(project_id)b::text
)
ON CONFLICT (id) DO UPDATE SET
    server = excluded.server,
    database_oid = excluded.database_oid,
    database_name = excluded.database_name,
    project_id = excluded.project_id,
    recorded_at = excluded.recorded_at;
