-- Whether transactions are read-only because of the login alone. The same default of a database or a server is a brake,
-- pulled for a move or at a full disk, and a standby can't write at all.
SELECT
    NOT pg_catalog.pg_is_in_recovery()
    AND EXISTS (
        SELECT FROM pg_catalog.pg_settings
        WHERE name = 'default_transaction_read_only' AND source IN ('user', 'database user')
    ) AS is_of_login;
