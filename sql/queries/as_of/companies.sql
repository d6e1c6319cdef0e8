-- These companies' rows, each as a JSON object, without what the application sets and what dates the writes.
SELECT
    c.id AS company_id,
    (to_jsonb(c) - ARRAY['settings', 'created_at', 'updated_at'])::text AS document
FROM identity.companies AS c
WHERE c.id = ANY(%(company_ids)b::uuid[])
ORDER BY c.id;
