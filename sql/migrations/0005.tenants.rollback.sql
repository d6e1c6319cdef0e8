DROP VIEW identity.profiles_needing_sync, identity.stack_integration_stats;
DROP FUNCTION identity.search_profiles, identity.current_matches;
DROP INDEX
identity.profiles_company_id,
identity.profiles_role_type,
identity.profiles_department,
identity.profiles_updated_at,
identity.profiles_search_name;
REVOKE SELECT (source) ON consumer.outbox FROM consumer_definer;
REVOKE SELECT (id, guest_key, deleted_at) ON identity.companies FROM consumer_definer;
REVOKE SELECT (company_id, user_id, removed_at, is_guest, search_name)
ON identity.company_members FROM consumer_definer;
REVOKE SELECT ON identity.profiles FROM consumer_definer;
DROP POLICY definer ON identity.profiles;
REVOKE SELECT (version) ON identity.stack_user_profiles FROM consumer_app;
REVOKE SELECT (
    company_id, user_id, joined_at, removed_at, permissions, is_guest
) ON identity.company_members FROM consumer_tenant;
REVOKE SELECT ON identity.profiles FROM consumer_tenant;
REVOKE SELECT (
    id, at, user_id, company_id, operation, changed_fields, previous_values, new_values, source, message_id, seq
) ON identity.profile_audit FROM consumer_tenant;
REVOKE SELECT (id, name, logo_url, settings, created_at, updated_at, deleted_at) ON identity.companies
FROM consumer_tenant;
REVOKE SELECT (
    stack_user_id, company_id, stack_display_name, stack_primary_email, stack_primary_email_verified,
    stack_profile_image_url, is_anonymous, is_restricted, signed_up_at, last_active_at, last_sign_in_at,
    last_sign_out_at, version, occurred_at, message_id, last_synced_at, sync_version, deleted_at
) ON identity.stack_user_profiles FROM consumer_tenant;
DROP POLICY definer ON identity.companies;
DROP POLICY definer ON identity.company_members;
DROP POLICY tenant ON identity.profile_audit;
DROP POLICY tenant ON identity.stack_user_profiles;
DROP POLICY tenant ON identity.profiles;
DROP POLICY tenant ON identity.company_members;
DROP POLICY tenant ON identity.companies;
ALTER TABLE identity.companies DROP COLUMN guest_key;
ALTER TABLE consumer.settings DROP COLUMN guest_salt;
ALTER TABLE identity.company_members DROP COLUMN search_name, DROP COLUMN is_guest;
ALTER TABLE identity.stack_user_profiles DROP COLUMN guest_keys;
ALTER TABLE identity.profiles DROP COLUMN guest_keys, DROP COLUMN search_name;
DROP FUNCTION
consumer.guest_key,
identity.has_api_key,
identity.current_memberships,
identity.current_guest_key,
identity.current_guests,
identity.is_current_company_active,
identity.folded,
identity.current_user_id,
identity.current_company_id;
