-- The keys of a user's metadata that the recorded settings name; no row before any process has recorded them.
SELECT
    role_key,
    department_key,
    company_key
FROM consumer_masked.settings;
