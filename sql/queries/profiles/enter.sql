-- Give the transaction its role and the company and the person it is for; an empty text is none.
SELECT
    set_config('role', %(role)b::text, TRUE),
    set_config('app.company_id', %(company_id)b::text, TRUE),
    set_config('app.user_id', %(user_id)b::text, TRUE);
