-- How far a migration has come; no row if it has not begun, or if the ledger has lost it.
SELECT
    next_step,
    page
FROM consumer._yoyo_record
WHERE migration_id = %(migration_id)b::text AND next_step IS NOT NULL;
