-- The session that holds the lock of all migrators in this database; no row if none does.
SELECT
    l.pid,
    coalesce(a.usename::text, '') AS login,
    coalesce(a.application_name, '') AS application
FROM pg_locks AS l
INNER JOIN pg_database AS d ON l.database = d.oid
LEFT JOIN pg_stat_activity AS a ON l.pid = a.pid
WHERE
    l.locktype = 'advisory'
    AND l.granted
    AND d.datname = current_database()
    AND l.objsubid = 1
    AND (l.classid::bigint << 32) | l.objid::bigint = %(key)b::bigint;
