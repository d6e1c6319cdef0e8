-- The version and settings of the server, and the rights of this login.
-- Read the catalogue's tables, because a lookup of a relation by name needs a privilege on its schema.
SELECT
    current_setting('server_version') AS version,
    current_setting('server_version_num')::integer AS version_number,
    pg_postmaster_start_time() AS started_at,
    d.datname::text AS database,
    d.oid::bigint AS database_oid,
    session_user::text AS login,
    l.rolsuper AS is_superuser,
    pg_encoding_to_char(d.encoding)::text AS encoding,
    pg_backend_pid() AS backend_pid,
    pg_is_in_recovery() AS is_standby,
    current_setting('transaction_read_only')::boolean AS is_read_only,
    current_setting('fsync')::boolean AS has_fsync,
    current_setting('full_page_writes')::boolean AS has_full_page_writes,
    -- As every other session has it, because ours sets its own.
    (
        SELECT s.reset_val FROM pg_settings AS s
        WHERE s.name = 'synchronous_commit'
    ) AS synchronous_commit,
    current_setting('autovacuum')::boolean AND current_setting('track_counts')::boolean AS has_autovacuum,
    current_setting('max_connections')::integer AS connections_max,
    pg_database_size(d.oid) AS database_bytes,
    coalesce(pg_total_relation_size(c.oid), 0) AS outbox_bytes,
    clock_timestamp() AS now
FROM pg_database AS d
INNER JOIN pg_roles AS l ON l.rolname = session_user
LEFT JOIN pg_namespace AS n ON n.nspname = 'consumer'
LEFT JOIN pg_class AS c ON n.oid = c.relnamespace AND c.relname = 'outbox'
WHERE d.datname = current_database();
