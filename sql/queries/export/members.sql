-- The rows of a user in the companies, as JSON.
SELECT to_jsonb(b)::text AS document
FROM identity.company_members AS b
WHERE b.user_id = %(user_id)b::uuid
ORDER BY b.company_id;
