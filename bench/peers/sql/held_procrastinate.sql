-- The events that Procrastinate still holds as not done.
SELECT (j.args #>> '{event,data,last_active_at_millis}')::bigint AS event
FROM procrastinate_jobs AS j
WHERE j.status IN ('todo', 'doing');
