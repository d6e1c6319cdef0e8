-- Count what a page of answers about a run's suspects brought.
UPDATE consumer.runs
SET
    stored = stored + %(stored)b::bigint,
    unusable = unusable + %(unusable)b::bigint,
    calls = calls + %(calls)b::bigint
WHERE id = %(run_id)b::uuid;
