-- How far a migration has come; no row if it has not begun.
SELECT
    next_step,
    page
FROM consumer._yoyo_record
WHERE migration_id = %(migration_id)b::text;
