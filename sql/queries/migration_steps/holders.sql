-- The sessions that hold tables of ours, the longest transaction first; seconds is null where this login may not know.
SELECT
    a.pid,
    a.usename AS login,
    a.application_name AS program,
    extract(EPOCH FROM clock_timestamp() - min(a.xact_start))::double precision AS seconds
FROM pg_locks AS l
INNER JOIN pg_stat_activity AS a ON l.pid = a.pid
INNER JOIN pg_class AS c ON l.relation = c.oid
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE
    l.granted
    AND a.datname = current_database()
    AND l.pid <> pg_backend_pid()
    AND n.nspname IN ('consumer', 'identity')
GROUP BY a.pid, a.usename, a.application_name
ORDER BY seconds DESC NULLS LAST, a.pid ASC
LIMIT 3;
