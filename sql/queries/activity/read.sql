-- How far the poll is, and the database's clock. No row: no page was stored yet.
SELECT
    mark_millis,
    sweep_id,
    cursor,
    cursor_millis,
    newest_millis,
    now() AS now
FROM consumer.activity;
