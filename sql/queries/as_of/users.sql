-- The rows of these users, as one JSON object each, without what counts and dates the writes. Mirror and profile are
-- null where there is none: of users not in told no delivery tells.
SELECT
    u.user_id,
    jsonb_build_object(
        'user_id', u.user_id,
        'mirror', to_jsonb(m) - ARRAY['sync_version', 'last_synced_at'],
        'profile', to_jsonb(p) - ARRAY['created_at', 'updated_at'],
        'members', coalesce(
            (
                SELECT jsonb_agg(to_jsonb(b) ORDER BY b.company_id)
                FROM identity.company_members AS b
                WHERE b.user_id = u.user_id
            ),
            '[]'
        )
    )::text AS document
FROM unnest(%(user_ids)b::uuid[]) WITH ORDINALITY AS u (user_id, place)
LEFT JOIN identity.stack_user_profiles AS m
    ON u.user_id = m.stack_user_id AND m.stack_user_id = ANY(%(told)b::uuid[])
LEFT JOIN identity.profiles AS p ON m.stack_user_id = p.user_id AND m.has_profile AND NOT m.is_removed
ORDER BY u.place;
