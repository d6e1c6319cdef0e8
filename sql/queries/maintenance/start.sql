-- Record that a job begins. It stays due, and what it did last stays, until it ends.
INSERT INTO consumer.maintenance (job, started_at, due_at)
VALUES (%(job)b::text, now(), now())
ON CONFLICT (job) DO UPDATE SET started_at = excluded.started_at;
