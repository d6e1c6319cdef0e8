-- The events that pg-boss still holds as not done.
SELECT (j.data #>> '{data,last_active_at_millis}')::bigint AS event
FROM pgboss.job AS j
WHERE j.name = 'events' AND j.state < 'completed';
