-- Record that a job ended, and when it is due: in some time from now, else a period after it began. Return that time.
UPDATE consumer.maintenance
SET
    ended_at = now(),
    due_at = coalesce(now() + %(due_in)b::interval, started_at + %(period)b::interval),
    counts = %(counts)b::jsonb,
    remark = %(remark)b::text,
    error = %(error)b::text
WHERE job = %(job)b::text
RETURNING due_at;
