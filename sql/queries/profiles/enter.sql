-- Set the role, the company and the user of the transaction, an empty text for none, and what a reader needs whatever
-- the session has set: policies that apply, all names in an encoding that has them, and whole results of an index.
SELECT
    set_config('role', %(role)b::text, TRUE),
    set_config('app.company_id', %(company_id)b::text, TRUE),
    set_config('app.user_id', %(user_id)b::text, TRUE),
    set_config('row_security', 'on', TRUE),
    set_config('client_encoding', 'UTF8', TRUE),
    set_config('gin_fuzzy_search_limit', '0', TRUE);
