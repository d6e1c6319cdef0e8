-- Connections, and transactions that hold vacuum back; without pg_read_all_stats those of other logins are hidden. A
-- session counts as a worker's if its login may take deliveries, because anybody may choose a session's name.
WITH sessions AS (
    SELECT
        usesysid,
        application_name,
        backend_xmin,
        extract(EPOCH FROM now() - xact_start)::double precision AS seconds
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
),

oldest AS (
    SELECT
        application_name,
        seconds
    FROM sessions
    WHERE seconds IS NOT NULL
    ORDER BY seconds DESC
    LIMIT 1
),

prepared AS (
    SELECT
        count(*) AS transactions,
        max(age(transaction)) AS xmin_age
    FROM pg_prepared_xacts
    WHERE database = current_database()
),

slots AS (
    SELECT max(greatest(age(xmin), age(catalog_xmin))) AS xmin_age FROM pg_replication_slots
),

takers AS (
    SELECT oid FROM pg_roles
    WHERE has_table_privilege(oid, to_regclass('consumer.pending'), 'DELETE')
),

workers AS (
    SELECT count(*) AS sessions
    FROM sessions AS s
    WHERE
        s.application_name = 'consumer worker'
        AND EXISTS (
            SELECT FROM takers AS t
            WHERE pg_has_role(s.usesysid, t.oid, 'MEMBER')
        )
),

server AS (
    -- A session with a hidden backend_type is a client's: the server's own processes hide nothing.
    SELECT count(*) FILTER (WHERE backend_type IS NULL OR backend_type = 'client backend') AS connections
    FROM pg_stat_activity
),

seen AS (
    SELECT max(age(backend_xmin)) AS xmin_age FROM sessions
)

SELECT
    server.connections,
    workers.sessions AS workers,
    coalesce(oldest.seconds, 0) AS transaction_seconds,
    oldest.application_name AS transaction_application,
    prepared.transactions AS prepared_transactions,
    coalesce(greatest(seen.xmin_age, prepared.xmin_age, slots.xmin_age), 0) AS xmin_age
FROM server
CROSS JOIN seen
CROSS JOIN workers
CROSS JOIN prepared
CROSS JOIN slots
LEFT JOIN oldest ON TRUE;
