-- Whether an index is complete; false after a CREATE INDEX CONCURRENTLY that was ended, no row if there is none.
SELECT indisvalid
FROM pg_index
WHERE indexrelid = to_regclass(%(index)b::text);
