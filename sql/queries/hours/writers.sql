-- The open transactions that may have stored deliveries: each has held this lock since before it drew a number.
-- A prepared one has another name after a restart of the server, so any may be one of those that were seen.
SELECT DISTINCT
    virtualtransaction AS writer,
    pid IS NULL AS is_prepared
FROM pg_locks
WHERE
    locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted
    AND relation = 'consumer.outbox'::regclass
    AND database = (
        SELECT d.oid FROM pg_database AS d
        WHERE d.datname = current_database()
    );
