-- Take an exclusive lock on each of these companies until the transaction ends (see companies/lock).
-- OFFSET 0 keeps the locks above the sort.
SELECT pg_advisory_xact_lock(hashtext('consumer.companies'), stripe)
FROM (
    SELECT DISTINCT consumer.company_stripe(company_id) AS stripe
    FROM unnest(%(company_ids)b::uuid[]) AS c (company_id)
    ORDER BY stripe
    OFFSET 0
) AS stripes;
