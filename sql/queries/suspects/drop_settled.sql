-- Suspect no longer what the rows do not hold any more: an event told it meanwhile.
DELETE FROM consumer.suspects AS s
WHERE
    s.run_id = %(run_id)b::uuid
    AND (
        (
            s.team_id IS NULL
            AND NOT EXISTS (
                SELECT FROM identity.stack_user_profiles AS m
                WHERE m.stack_user_id = s.user_id AND (m.deleted_at IS NULL) = (s.kind = 'undeleted_user')
            )
        )
        OR (
            s.user_id IS NULL
            AND NOT EXISTS (
                SELECT FROM identity.companies AS c
                WHERE c.id = s.team_id AND (c.deleted_at IS NULL) = (s.kind = 'undeleted_team')
            )
        )
        OR (
            s.kind IN ('extra_membership', 'extra_permission')
            AND NOT EXISTS (
                SELECT FROM identity.company_members AS cm
                WHERE
                    cm.company_id = s.team_id
                    AND cm.user_id = s.user_id
                    AND cm.removed_at IS NULL
                    AND (s.permission_id IS NULL OR s.permission_id = ANY(cm.permissions))
            )
        )
    );
