-- How many users, companies, memberships and permissions live here.
SELECT
    (
        SELECT count(*) FROM identity.stack_user_profiles
        WHERE deleted_at IS NULL
    ) AS undeleted_user,
    (
        SELECT count(*) FROM identity.companies
        WHERE deleted_at IS NULL
    ) AS undeleted_team,
    (
        SELECT count(*) FROM identity.company_members
        WHERE removed_at IS NULL
    ) AS extra_membership,
    (
        SELECT coalesce(sum(cardinality(permissions)), 0) FROM identity.company_members
        WHERE removed_at IS NULL
    )::bigint AS extra_permission;
