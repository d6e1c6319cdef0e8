-- Derive identity.company_members of these users from consumer.memberships. removed_at is the oldest of three: the last
-- removal, if no newer join follows it, the user's deletion, and the company's deletion. A user marked is_removed gets
-- no row.
WITH derived AS MATERIALIZED (
    SELECT
        f.company_id,
        f.user_id,
        f.joined_at,
        least(
            CASE WHEN f.removal_version > f.join_version THEN f.removed_at END,
            m.deleted_at,
            c.deleted_at
        ) AS removed_at,
        ARRAY(
            SELECT p.permission_id
            FROM consumer.team_permissions AS p
            WHERE p.user_id = f.user_id AND p.company_id = f.company_id AND p.is_present
            ORDER BY p.permission_id
        ) AS permissions
    FROM consumer.memberships AS f
    INNER JOIN identity.stack_user_profiles AS m ON f.user_id = m.stack_user_id
    INNER JOIN identity.companies AS c ON f.company_id = c.id
    WHERE
        f.user_id = ANY(%(user_ids)b::uuid[])
        AND NOT m.is_removed
)

INSERT INTO identity.company_members AS known (company_id, user_id, joined_at, removed_at, permissions)
SELECT
    company_id,
    user_id,
    joined_at,
    removed_at,
    permissions
FROM derived
ORDER BY company_id, user_id
ON CONFLICT (company_id, user_id) DO UPDATE
    SET
        joined_at = excluded.joined_at,
        removed_at = excluded.removed_at,
        permissions = excluded.permissions
    WHERE
        row(excluded.joined_at, excluded.removed_at, excluded.permissions)
        IS DISTINCT FROM row(known.joined_at, known.removed_at, known.permissions);
