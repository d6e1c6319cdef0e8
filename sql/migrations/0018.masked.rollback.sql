SELECT consumer.pause_work();
DELETE FROM consumer.fence
WHERE migration = 18;

DROP INDEX identity.stack_user_profiles_email;
DROP VIEW
consumer_masked.actions,
consumer_masked.audit,
consumer_masked.bodies,
consumer_masked.companies,
consumer_masked.company_members,
consumer_masked.deliveries,
consumer_masked.edits,
consumer_masked.exclusions,
consumer_masked.failures,
consumer_masked.fence,
consumer_masked.hours,
consumer_masked.maintenance,
consumer_masked.memberships,
consumer_masked.migrations,
consumer_masked.mirror,
consumer_masked.outbox,
consumer_masked.outcomes,
consumer_masked.past_exclusions,
consumer_masked.pending,
consumer_masked.profiles,
consumer_masked.project,
consumer_masked.queue_stats,
consumer_masked.rebuild,
consumer_masked.rehome,
consumer_masked.reports,
consumer_masked.run_repairs,
consumer_masked.runs,
consumer_masked.settings,
consumer_masked.suspects,
consumer_masked.team_permissions;
DROP FUNCTION
consumer_masked.body,
consumer_masked.document,
consumer_masked.email,
consumer_masked.hidden,
consumer_masked.name,
consumer_masked.seq_before,
consumer_masked.statements,
consumer_masked.users_by_email,
consumer_masked.written;
DROP SCHEMA consumer_masked;
DROP POLICY masker ON consumer.outbox;
DROP POLICY masker ON consumer.failures;
DROP POLICY masker ON identity.companies;
DROP POLICY masker ON identity.company_members;
DROP POLICY masker ON identity.profile_audit;
DROP POLICY masker ON identity.profiles;
DROP POLICY masker ON identity.stack_user_profiles;
DROP TABLE consumer.actions;
REVOKE SELECT ON
consumer.edits,
consumer.exclusions,
consumer.failures,
consumer.fence,
consumer.hours,
consumer.maintenance,
consumer.memberships,
consumer.outcomes,
consumer.past_exclusions,
consumer.pending,
consumer.project,
consumer.rebuild,
consumer.rehome,
consumer.reports,
consumer.run_repairs,
consumer.suspects,
consumer.team_permissions
FROM consumer_masker;
REVOKE SELECT (migration_id, applied_at_utc) ON consumer._yoyo_migration FROM consumer_masker;
REVOKE SELECT (
    seq, source, message_id, event_type, user_id, team_id, occurred_at, received_at, body, reduced
) ON consumer.outbox FROM consumer_masker;
REVOKE SELECT (
    id, kind, stage, restarts, listed_at, users, teams, memberships, permissions, stored, unusable, calls, begun_at,
    finished_at, abandoned_at
) ON consumer.runs FROM consumer_masker;
REVOKE SELECT (
    default_company_id, default_role, default_department, role_key, department_key, company_key, delete_policy,
    recorded_at, audited_since, pruned_until
) ON consumer.settings FROM consumer_masker;
REVOKE SELECT (id, name, created_at, updated_at, deleted_at, version, deletion_at, missing_at, seen_at)
ON identity.companies FROM consumer_masker;
REVOKE SELECT (company_id, user_id, joined_at, removed_at, permissions, is_guest)
ON identity.company_members FROM consumer_masker;
REVOKE SELECT ON identity.profile_audit FROM consumer_masker;
REVOKE SELECT (
    user_id, company_id, full_name, email, email_verified, avatar_url, role_type, department, is_restricted,
    last_active_at, last_sign_in_at, last_sign_out_at, created_at, updated_at, deleted_at
) ON identity.profiles FROM consumer_masker;
REVOKE SELECT (
    stack_user_id, company_id, stack_display_name, stack_primary_email, stack_primary_email_verified,
    stack_profile_image_url, is_anonymous, is_restricted, signed_up_at, source_role, source_department,
    source_company_id, last_active_at, last_sign_in_at, last_sign_out_at, has_profile, is_forgotten, is_held, is_erased,
    is_removed, version, occurred_at, message_id, last_synced_at, sync_version, deleted_at, deletion_at, missing_at,
    seen_at
) ON identity.stack_user_profiles FROM consumer_masker;
REVOKE USAGE ON SCHEMA consumer FROM consumer_masker;
REVOKE EXECUTE ON FUNCTION consumer.seq_before FROM consumer_masker;

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['consumer_viewer', 'consumer_masker'] LOOP
        EXECUTE format('DROP OWNED BY %I', role_name);
        BEGIN
            EXECUTE format('DROP ROLE %I', role_name);
        EXCEPTION
            -- Another database of this cluster still uses it.
            WHEN dependent_objects_still_exist THEN NULL;
        END;
    END LOOP;
END
$$;
