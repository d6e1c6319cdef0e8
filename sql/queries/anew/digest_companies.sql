-- A digest of these companies' rows, but for what the application sets and what dates the writes; null where there is
-- none. Also deleted_at, and whether anything puts a user there.
SELECT
    i.company_id,
    hashtextextended((to_jsonb(c) - ARRAY['settings', 'created_at', 'updated_at'])::text, 0) AS digest,
    c.deleted_at,
    (
        EXISTS (
            SELECT FROM identity.stack_user_profiles AS m
            WHERE m.company_id = i.company_id
        )
        OR EXISTS (
            SELECT FROM identity.profiles AS p
            WHERE p.company_id = i.company_id
        )
        OR EXISTS (
            SELECT FROM identity.company_members AS b
            WHERE b.company_id = i.company_id
        )
    ) AS is_used
FROM unnest(%(company_ids)b::uuid[]) AS i (company_id)
LEFT JOIN identity.companies AS c ON i.company_id = c.id;
