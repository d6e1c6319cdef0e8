-- The sessions that hold an advisory lock of ours, lock a table of ours against writers, or keep a process of ours
-- waiting; with *readers_of* also those that only read that table. Their locks, one row a session.
-- Catalogue names instead of ::regclass, because a lookup by name needs a privilege on the schema.
WITH tables AS (
    SELECT
        c.oid,
        n.nspname || '.' || c.relname AS name
    FROM pg_class AS c
    INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
    WHERE n.nspname IN ('consumer', 'identity') AND c.relkind = 'r'
),

locks AS (
    SELECT
        l.*,
        CASE
            WHEN
                l.locktype = 'advisory' AND l.objsubid = 1
                AND (l.classid::bigint << 32) | l.objid::bigint = %(migrations_key)b::bigint
                THEN 'the lock of migrations'
            WHEN
                l.locktype = 'advisory' AND l.objsubid = 2 AND l.objid::bigint < 256
                AND l.classid::bigint = hashtext('consumer.companies')::bigint & 4294967295
                THEN 'locks of companies'
            WHEN
                l.locktype = 'advisory' AND l.objsubid = 2
                AND l.classid::bigint = hashtext('consumer.maintenance')::bigint & 4294967295
                THEN 'a lock of maintenance'
            WHEN
                l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
                OR t.name = %(readers_of)b::text
                THEN 'table ' || t.name
        END AS name
    FROM pg_locks AS l
    LEFT JOIN tables AS t ON l.locktype = 'relation' AND l.relation = t.oid
    LEFT JOIN pg_database AS d ON l.database = d.oid
    WHERE l.database IS NULL OR d.datname = current_database()
),

-- Materialized, because pg_blocking_pids stops the server's whole lock manager for a moment.
waiting AS MATERIALIZED (
    SELECT
        extract(EPOCH FROM clock_timestamp() - l.waitstart)::double precision AS seconds,
        coalesce(l.name, 'a row') AS name,
        pg_blocking_pids(l.pid) AS pids
    FROM locks AS l
    INNER JOIN pg_stat_activity AS a ON l.pid = a.pid
    WHERE NOT l.granted AND a.application_name LIKE 'consumer %%' AND a.datname = current_database()
),

-- Their virtual transactions are those of the sessions that prepared them, and others after a restart of the server.
prepared AS (
    SELECT
        l.virtualtransaction,
        p.gid,
        p.owner,
        p.prepared
    FROM locks AS l
    INNER JOIN pg_prepared_xacts AS p ON l.transactionid = p.transaction
),

held AS (
    SELECT
        l.pid,
        CASE WHEN l.pid IS NULL THEN l.virtualtransaction END AS prepared,
        l.name,
        NULL::double precision AS waited_seconds
    FROM locks AS l
    WHERE l.granted AND l.name IS NOT NULL AND l.pid IS DISTINCT FROM pg_backend_pid()
    UNION ALL
    SELECT
        blocker.pid,
        NULL AS prepared,
        w.name,
        w.seconds AS waited_seconds
    FROM waiting AS w
    CROSS JOIN unnest(w.pids) AS blocker (pid)
    -- A prepared transaction has no process; where it holds an advisory or a table lock, it is found above.
    WHERE blocker.pid <> 0 AND w.seconds > 0
)

SELECT
    h.pid,
    p.gid AS prepared_transaction,
    coalesce(a.usename::text, p.owner::text) AS login,
    nullif(a.application_name, '') AS application,
    string_agg(DISTINCT h.name, ', ') AS locks,
    max(h.waited_seconds) AS waited_seconds,
    extract(
        EPOCH FROM clock_timestamp() - coalesce(min(a.xact_start), min(a.state_change), min(p.prepared))
    )::double precision AS seconds,
    bool_and(p.gid IS NULL AND a.state IS NULL) AS is_hidden
FROM held AS h
LEFT JOIN pg_stat_activity AS a ON h.pid = a.pid
LEFT JOIN prepared AS p ON h.prepared = p.virtualtransaction
-- Autovacuum has no login: it holds the end of a table for a moment, and gives way to who waits.
WHERE h.pid IS NULL OR a.usesysid IS NOT NULL
GROUP BY h.pid, p.gid, a.usename, p.owner, a.application_name
ORDER BY h.pid;
