-- Until the transaction ends the server writes the names of our objects with their schema, and quotes only those that
-- need it: privileges/read compares texts.
SELECT
    set_config('search_path', 'pg_catalog, pg_temp', TRUE),
    set_config('quote_all_identifiers', 'off', TRUE);
