-- The installation's owner, which is the owner of schema consumer, and the login that would mend the rights.
SELECT
    current_setting('server_version_num')::integer AS version_number,
    quote_ident(o.rolname) AS name,
    o.rolcreaterole AND NOT o.rolsuper AS is_creator,
    current_user::text AS login,
    l.rolsuper AS is_superuser,
    current_database()::text AS database
FROM pg_roles AS l
LEFT JOIN pg_namespace AS n ON n.nspname = 'consumer'
INNER JOIN pg_roles AS o ON o.oid = coalesce(n.nspowner, l.oid)
WHERE l.rolname = current_user;
