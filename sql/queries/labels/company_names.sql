-- The names of companies, by id; that of one member's company is masked.
SELECT
    id,
    name
FROM consumer_masked.companies
WHERE id = ANY(%(company_ids)b::uuid[]);
