-- The events that graphile-worker still holds as not done.
SELECT (j.payload #>> '{data,last_active_at_millis}')::bigint AS event FROM graphile_worker._private_jobs AS j;
