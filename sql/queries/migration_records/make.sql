-- Make the part of the ledger for what yoyo's own tables cannot say of a migration.
CREATE TABLE IF NOT EXISTS consumer._yoyo_record (
    migration_id text PRIMARY KEY,
    content_hash text NOT NULL, -- SHA-256 of the file, as in sql/migrations/SHA256SUMS
    next_step integer, -- the first that is not done, from 0; null: all are
    page text -- the last key that this step has reached; null: it works in no pages, or has not begun
);
