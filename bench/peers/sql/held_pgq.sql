-- The events that PgQ (none: the worker ends only at the end of the log) still holds as not done.
SELECT 0::bigint AS event
WHERE FALSE;
