-- Whether the current role inherits the rights of another.
SELECT pg_has_role(%(role)b::text::name, 'USAGE') AS has_rights;
