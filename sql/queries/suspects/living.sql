-- How many users, companies, memberships and permissions live here, without as many as reconciliations of late have
-- brought in. That may wait for a worker still; then fewer are counted than live here.
WITH brought AS MATERIALIZED (
    SELECT
        f.kind,
        f.repaired
    FROM consumer.run_repairs AS f
    INNER JOIN consumer.runs AS r ON f.run_id = r.id
    WHERE r.begun_at > now() - %(within)b::interval
),

living AS MATERIALIZED (
    SELECT
        (
            SELECT count(*) FROM identity.stack_user_profiles AS m
            WHERE m.deleted_at IS NULL
        ) AS users,
        (
            SELECT count(*) FROM identity.companies AS c
            WHERE c.deleted_at IS NULL
        ) AS companies,
        (
            SELECT count(*) FROM identity.company_members AS cm
            WHERE cm.removed_at IS NULL
        ) AS memberships,
        (
            SELECT coalesce(sum(cardinality(cm.permissions)), 0) FROM identity.company_members AS cm
            WHERE cm.removed_at IS NULL
        ) AS permissions,
        coalesce(sum(b.repaired) FILTER (WHERE b.kind = 'missing_user'), 0) AS new_users,
        coalesce(sum(b.repaired) FILTER (WHERE b.kind = 'missing_team'), 0) AS new_companies,
        coalesce(sum(b.repaired) FILTER (WHERE b.kind IN ('missing_creator', 'missing_membership')), 0)
            AS new_memberships,
        coalesce(sum(b.repaired) FILTER (WHERE b.kind = 'missing_permission'), 0) AS new_permissions
    FROM brought AS b
)

SELECT
    greatest(l.users - l.new_users, 0)::bigint AS undeleted_user,
    greatest(l.companies - l.new_companies, 0)::bigint AS undeleted_team,
    greatest(l.memberships - l.new_memberships, 0)::bigint AS extra_membership,
    greatest(l.permissions - l.new_permissions, 0)::bigint AS extra_permission
FROM living AS l;
