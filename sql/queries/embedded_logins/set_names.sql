-- Name the roles and logins for embedded_logins/make, which takes no parameters, until the transaction ends.
SELECT
    set_config('consumer.role_prefix', %(role_prefix)b::text, TRUE),
    set_config('consumer.duties', %(duties)b::text, TRUE);
