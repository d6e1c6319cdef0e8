-- Of these companies, which no delivery tells of: remove those that no user is in, end the others until their users are
-- made anew. Return the companies that were ended.
WITH removed AS (
    DELETE FROM identity.companies
    WHERE id = ANY(%(unused)b::uuid[])
)

UPDATE identity.companies
SET deleted_at = now()
WHERE id = ANY(%(used)b::uuid[]) AND deleted_at IS NULL;
