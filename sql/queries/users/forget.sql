-- Remove the personal data of deleted users from their mirror rows, as the delete policy says. A user marked is_held is
-- anonymised even under `hard`; a user forgotten once stays forgotten under `soft`.
-- An anonymised profile stays and is derived from this row, so is_anonymous, is_restricted, role and department, which
-- identify nobody, stay with it. Under `hard` no profile stays.
UPDATE identity.stack_user_profiles AS m
SET
    stack_display_name = NULL,
    stack_primary_email = NULL,
    stack_primary_email_verified = NULL,
    stack_profile_image_url = NULL,
    stack_metadata = NULL,
    is_anonymous = CASE WHEN s.delete_policy <> 'hard' OR m.is_held THEN m.is_anonymous END,
    is_restricted = CASE WHEN s.delete_policy <> 'hard' OR m.is_held THEN m.is_restricted END,
    signed_up_at = NULL,
    source_role = CASE WHEN s.delete_policy <> 'hard' OR m.is_held THEN m.source_role END,
    source_department = CASE WHEN s.delete_policy <> 'hard' OR m.is_held THEN m.source_department END,
    source_company_id = NULL,
    last_active_at = NULL,
    last_sign_in_at = NULL,
    last_sign_out_at = NULL,
    is_forgotten = TRUE
FROM consumer.settings AS s
WHERE
    m.stack_user_id = ANY(%(user_ids)b::uuid[])
    AND m.deleted_at IS NOT NULL
    AND (s.delete_policy <> 'soft' OR m.is_forgotten);
