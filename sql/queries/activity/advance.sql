-- Let the poll go on if it is still at this page of this sweep, and lock it. No row: another process has stored it.
INSERT INTO consumer.activity (mark_millis, sweep_id, cursor, cursor_millis, newest_millis)
VALUES (
    %(mark_millis)b::bigint,
    %(sweep_id)b::uuid,
    %(cursor)b::text,
    %(cursor_millis)b::bigint,
    %(newest_millis)b::bigint
)
ON CONFLICT (id) DO UPDATE
    SET
        mark_millis = excluded.mark_millis,
        sweep_id = excluded.sweep_id,
        cursor = excluded.cursor,
        cursor_millis = excluded.cursor_millis,
        newest_millis = excluded.newest_millis
    WHERE
    activity.sweep_id = %(old_sweep_id)b::uuid
    AND activity.cursor IS NOT DISTINCT FROM %(old_cursor)b::text
RETURNING TRUE AS is_stored;
