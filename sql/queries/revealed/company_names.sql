-- The names of companies.
SELECT
    id,
    name
FROM identity.companies
WHERE id = ANY(%(company_ids)b::uuid[]);
