-- Record how far a migration has come; its hash stays the one that it began with.
INSERT INTO consumer._yoyo_record (migration_id, content_hash, next_step, page)
VALUES (%(migration_id)b::text, %(content_hash)b::text, %(next_step)b::integer, %(page)b::text)
ON CONFLICT (migration_id) DO UPDATE
    SET
        next_step = excluded.next_step,
        page = excluded.page;
