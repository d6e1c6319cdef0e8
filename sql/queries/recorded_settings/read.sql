-- The settings that shaped the rows of this database; no row before the first migrate.
SELECT
    default_company_id,
    default_role,
    default_department,
    role_key,
    department_key,
    company_key,
    delete_policy
FROM consumer.settings;
