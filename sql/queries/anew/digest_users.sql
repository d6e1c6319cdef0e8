-- A digest of each kind of row that these users have; null where they have none. Two digests of one session are equal
-- exactly where the rows are. Mirror and profile count in whole, which takes half the time of a row as JSON.
-- OFFSET 0 keeps the mirror a look-up for each user: a join would read the whole table.
SELECT
    u.user_id,
    s.mirror,
    (
        SELECT hash_record_extended(p, 0)
        FROM identity.profiles AS p
        WHERE p.user_id = u.user_id
    ) AS profile,
    (
        SELECT hashtextextended(jsonb_agg(to_jsonb(b) ORDER BY b.company_id)::text, 0)
        FROM identity.company_members AS b
        WHERE b.user_id = u.user_id
    ) AS members,
    (
        SELECT hashtextextended(jsonb_agg(to_jsonb(f) ORDER BY f.company_id)::text, 0)
        FROM consumer.memberships AS f
        WHERE f.user_id = u.user_id
    ) AS memberships,
    (
        SELECT hashtextextended(jsonb_agg(to_jsonb(t) ORDER BY t.company_id, t.permission_id)::text, 0)
        FROM consumer.team_permissions AS t
        WHERE t.user_id = u.user_id
    ) AS permissions,
    (
        SELECT hashtextextended(jsonb_agg(to_jsonb(e) ORDER BY e.field)::text, 0)
        FROM consumer.edits AS e
        WHERE e.user_id = u.user_id
    ) AS edits,
    (
        SELECT count(*)
        FROM identity.profile_audit AS a
        WHERE a.user_id = u.user_id AND a.operation IN ('signed_in', 'signed_out')
    ) AS sign_ins,
    s.sync_version,
    s.last_synced_at,
    coalesce(s.is_forgotten, FALSE) AS is_forgotten,
    coalesce(s.is_held, FALSE) AS is_held,
    coalesce(s.is_removed, FALSE) AS is_removed
FROM unnest(%(user_ids)b::uuid[]) AS u (user_id)
-- ST05 takes the correlated row for a sub-select.
LEFT JOIN LATERAL ( -- noqa: ST05
    SELECT
        m.sync_version,
        m.last_synced_at,
        m.is_forgotten,
        m.is_held,
        m.is_removed,
        hash_record_extended(m, 0) AS mirror
    FROM identity.stack_user_profiles AS m
    WHERE m.stack_user_id = u.user_id
    ORDER BY m.stack_user_id
    OFFSET 0
) AS s ON TRUE;
