-- A company with the number of its active members, of guests among them, and of the users at home there, each counted
-- up to `counted_max`; and whether a new home or a rebuild waits for it.
SELECT
    c.id,
    c.name,
    c.created_at,
    c.updated_at,
    c.deleted_at,
    (
        SELECT count(*)
        FROM (
            SELECT FROM consumer_masked.company_members AS b
            WHERE b.company_id = c.id AND b.removed_at IS NULL
            ORDER BY b.user_id
            LIMIT %(counted_max)b::integer
        ) AS active
    ) AS members,
    (
        SELECT count(*)
        FROM (
            SELECT FROM consumer_masked.company_members AS b
            WHERE b.company_id = c.id AND b.is_guest
            ORDER BY b.user_id
            LIMIT %(counted_max)b::integer
        ) AS guests
    ) AS guests,
    (
        SELECT count(*)
        FROM (
            SELECT FROM consumer_masked.profiles AS p
            WHERE p.company_id = c.id
            ORDER BY p.user_id
            LIMIT %(counted_max)b::integer
        ) AS homed
    ) AS at_home,
    exists(
        SELECT FROM consumer_masked.rehome AS r
        WHERE r.company_id = c.id
    ) AS is_rehome_queued,
    exists(
        SELECT FROM consumer_masked.rebuild AS r
        WHERE r.id = c.id
    ) AS is_rebuild_queued
FROM consumer_masked.companies AS c
WHERE c.id = %(company_id)b::uuid;
