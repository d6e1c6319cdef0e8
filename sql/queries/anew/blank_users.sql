-- Forget all facts about these locked users. What somebody else may refer to stays: profiles and memberships change
-- only where they come out different.
WITH no_memberships AS (
    DELETE FROM consumer.memberships
    WHERE user_id = ANY(%(user_ids)b::uuid[])
),

no_permissions AS (
    DELETE FROM consumer.team_permissions
    WHERE user_id = ANY(%(user_ids)b::uuid[])
),

no_edits AS (
    DELETE FROM consumer.edits
    WHERE user_id = ANY(%(user_ids)b::uuid[])
)

UPDATE identity.stack_user_profiles
SET
    company_id = NULL,
    guest_keys = NULL,
    stack_display_name = NULL,
    stack_primary_email = NULL,
    stack_primary_email_verified = NULL,
    stack_profile_image_url = NULL,
    stack_metadata = NULL,
    is_anonymous = NULL,
    is_restricted = NULL,
    signed_up_at = NULL,
    source_role = NULL,
    source_department = NULL,
    source_company_id = NULL,
    last_active_at = NULL,
    last_sign_in_at = NULL,
    last_sign_out_at = NULL,
    has_profile = FALSE,
    version = '',
    occurred_at = NULL,
    message_id = NULL,
    deletion_at = NULL,
    missing_at = NULL,
    seen_at = NULL,
    is_erased = FALSE,
    is_forgotten = FALSE,
    is_held = FALSE,
    is_removed = FALSE,
    deleted_at = NULL
WHERE stack_user_id = ANY(%(user_ids)b::uuid[]);
