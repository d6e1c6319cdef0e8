-- Recompute the home company of these users in the mirror. The first active company wins: the one of the newest edit,
-- the one that metadata names, the one of the active membership with the oldest first join, the default one. A deleted
-- user has no home.
-- Mark the other active memberships as guest memberships; users/name_guests gives them their names.
-- Return the users with a new home or new guest keys.
WITH homes AS MATERIALIZED (
    SELECT
        m.stack_user_id AS user_id,
        CASE
            WHEN m.deleted_at IS NULL
                THEN coalesce(
                    edited.id,
                    named.id,
                    (
                        SELECT b.company_id
                        FROM identity.company_members AS b
                        WHERE b.user_id = m.stack_user_id AND b.removed_at IS NULL
                        ORDER BY b.joined_at, b.company_id
                        LIMIT 1
                    ),
                    fallback.id
                )
        END AS company_id
    FROM identity.stack_user_profiles AS m
    CROSS JOIN consumer.settings AS s
    LEFT JOIN consumer.edits AS e ON m.stack_user_id = e.user_id AND e.field = 'company_id'
    LEFT JOIN identity.companies AS edited ON e.value::uuid = edited.id AND edited.deleted_at IS NULL
    LEFT JOIN identity.companies AS named ON m.source_company_id = named.id AND named.deleted_at IS NULL
    LEFT JOIN identity.companies AS fallback ON s.default_company_id = fallback.id AND fallback.deleted_at IS NULL
    WHERE m.stack_user_id = ANY(%(user_ids)b::uuid[])
),

visits AS MATERIALIZED (
    SELECT
        h.user_id,
        h.company_id,
        (
            SELECT array_agg(c.guest_key ORDER BY c.guest_key)
            FROM identity.company_members AS b
            INNER JOIN identity.companies AS c ON b.company_id = c.id
            WHERE b.user_id = h.user_id AND b.removed_at IS NULL AND b.company_id IS DISTINCT FROM h.company_id
        ) AS guest_keys
    FROM homes AS h
),

moved AS (
    UPDATE identity.stack_user_profiles AS m
    SET
        company_id = v.company_id,
        guest_keys = v.guest_keys
    FROM visits AS v
    WHERE
        m.stack_user_id = v.user_id
        AND row(m.company_id, m.guest_keys) IS DISTINCT FROM row(v.company_id, v.guest_keys)
    RETURNING m.stack_user_id
),

marked AS (
    UPDATE identity.company_members AS b
    SET
        is_guest = NOT b.is_guest,
        search_name = NULL
    FROM homes AS h
    WHERE
        b.user_id = h.user_id
        AND b.is_guest <> (b.removed_at IS NULL AND b.company_id IS DISTINCT FROM h.company_id)
)

SELECT coalesce(array_agg(stack_user_id), '{}') AS user_ids
FROM moved;
