-- What ALTER DEFAULT PRIVILEGES would hand to others of the objects that this role makes in our schemas: the statement
-- that takes each privilege away, and the one that gives it back.
WITH given AS (
    SELECT
        'ALTER DEFAULT PRIVILEGES' || coalesce(' IN SCHEMA ' || quote_ident(n.nspname), '') AS subject,
        CASE p.defaclobjtype
            WHEN 'r' THEN 'TABLES'
            WHEN 'S' THEN 'SEQUENCES'
            WHEN 'f' THEN 'FUNCTIONS'
            WHEN 'T' THEN 'TYPES'
            WHEN 'n' THEN 'SCHEMAS'
        END AS kind,
        a.privilege_type AS privilege,
        CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee,
        CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS option
    FROM pg_default_acl AS p
    INNER JOIN pg_roles AS r ON p.defaclrole = r.oid
    LEFT JOIN pg_namespace AS n ON p.defaclnamespace = n.oid
    CROSS JOIN aclexplode(p.defaclacl) AS a
    WHERE
        r.rolname = current_user
        AND a.grantee <> p.defaclrole
        AND (n.nspname IS NULL OR n.nspname IN ('consumer', 'consumer_masked', 'identity'))
)

SELECT
    format('%s REVOKE %s ON %s FROM %s', subject, privilege, kind, grantee) AS withhold,
    format('%s GRANT %s ON %s TO %s%s', subject, privilege, kind, grantee, option) AS give_back
FROM given
WHERE kind IS NOT NULL;
