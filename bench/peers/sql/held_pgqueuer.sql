-- The events that PgQueuer still holds as not done.
SELECT (convert_from(q.payload, 'UTF8')::jsonb #>> '{data,last_active_at_millis}')::bigint AS event FROM pgqueuer AS q;
