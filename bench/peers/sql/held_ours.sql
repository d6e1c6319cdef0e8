-- The events that our queue still holds as not done.
SELECT (convert_from(o.body, 'UTF8')::jsonb #>> '{data,last_active_at_millis}')::bigint AS event
FROM consumer.outbox AS o
LEFT JOIN consumer.outcomes AS d ON o.seq = d.seq
WHERE d.seq IS NULL;
