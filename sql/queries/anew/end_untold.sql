-- Of these companies, which no delivery tells of: remove the unused ones, in which no user is; end the others until
-- their users are made anew.
WITH removed AS (
    DELETE FROM identity.companies
    WHERE id = ANY(%(unused)b::uuid[])
)

UPDATE identity.companies
SET deleted_at = now()
WHERE id = ANY(%(used)b::uuid[]);
