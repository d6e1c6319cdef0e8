-- Set the role, the company and the user of the transaction; an empty text means none.
SELECT
    set_config('role', %(role)b::text, TRUE),
    set_config('app.company_id', %(company_id)b::text, TRUE),
    set_config('app.user_id', %(user_id)b::text, TRUE);
