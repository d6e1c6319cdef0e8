-- Look names up in our schema and the catalogue only, and act as the login itself: with is_local until the transaction
-- ends, else in the whole session.
-- Qualified, and a statement of its own: until it has run, another schema's objects may hide those of the catalogue.
SELECT
    pg_catalog.set_config('search_path', 'consumer, pg_temp', %(is_local)b::boolean),
    pg_catalog.set_config('role', 'none', %(is_local)b::boolean);
