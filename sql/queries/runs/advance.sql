-- Let a locked run go on to its next place, count its page, and finish it if there is none.
UPDATE consumer.runs
SET
    stage = %(stage)b::text,
    restarts = %(restarts)b::integer,
    cursor = %(cursor)b::text,
    cursor_millis = %(cursor_millis)b::bigint,
    newest_millis = %(newest_millis)b::bigint,
    listed_at = %(listed_at)b::timestamptz,
    users = users + %(users)b::bigint,
    teams = teams + %(teams)b::bigint,
    memberships = memberships + %(memberships)b::bigint,
    permissions = permissions + %(permissions)b::bigint,
    stored = stored + %(stored)b::bigint,
    unusable = unusable + %(unusable)b::bigint,
    calls = calls + %(calls)b::bigint,
    finished_at = CASE WHEN %(is_last)b::boolean THEN now() END
WHERE id = %(run_id)b::uuid;
