-- Whether the batch would create or revive one of these companies, of which it has only a shared lock: another
-- transaction removed the company, or found it missing, after companies/lock had looked and before it had the lock.
SELECT exists(
    SELECT FROM unnest(%(company_ids)b::uuid[]) AS i (company_id)
    LEFT JOIN identity.companies AS c ON i.company_id = c.id
    WHERE c.id IS NULL OR c.missing_at IS NOT NULL
);
