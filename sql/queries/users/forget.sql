-- Remove the personal data of deleted users from their mirror rows, as the delete policy says; of erased ones as `hard`
-- says. A user marked is_held is anonymised even then; a user forgotten once stays forgotten under `soft`.
-- An anonymised profile stays and is derived from this row, so is_anonymous, is_restricted, role and department, which
-- identify nobody, stay with it. A user marked is_removed keeps no profile.
UPDATE identity.stack_user_profiles AS m
SET
    stack_display_name = NULL,
    stack_primary_email = NULL,
    stack_primary_email_verified = NULL,
    stack_profile_image_url = NULL,
    stack_metadata = NULL,
    is_anonymous = CASE WHEN NOT f.is_removed THEN m.is_anonymous END,
    is_restricted = CASE WHEN NOT f.is_removed THEN m.is_restricted END,
    signed_up_at = NULL,
    source_role = CASE WHEN NOT f.is_removed THEN m.source_role END,
    source_department = CASE WHEN NOT f.is_removed THEN m.source_department END,
    source_company_id = NULL,
    last_active_at = NULL,
    last_sign_in_at = NULL,
    last_sign_out_at = NULL,
    is_forgotten = TRUE,
    is_removed = f.is_removed
FROM (
    SELECT
        u.stack_user_id,
        (s.delete_policy = 'hard' OR u.is_erased OR u.is_removed) AND NOT u.is_held AS is_removed
    FROM identity.stack_user_profiles AS u
    CROSS JOIN consumer.settings AS s
    WHERE
        u.stack_user_id = ANY(%(user_ids)b::uuid[])
        AND u.deleted_at IS NOT NULL
        AND (s.delete_policy <> 'soft' OR u.is_forgotten OR u.is_erased)
) AS f
WHERE m.stack_user_id = f.stack_user_id;
