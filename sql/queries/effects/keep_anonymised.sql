-- Anonymise the profile of a deleted user that an application's foreign key keeps from being removed, audited.
WITH before AS MATERIALIZED (
    SELECT
        p.user_id,
        p.company_id,
        identity.image(p) AS before_image
    FROM identity.profiles AS p
    WHERE p.user_id = %(user_id)b::uuid
),

kept AS (
    UPDATE identity.profiles AS p
    SET
        company_id = NULL,
        full_name = 'Deleted user',
        email = NULL,
        email_verified = NULL,
        avatar_url = NULL,
        last_active_at = NULL,
        last_sign_in_at = NULL,
        last_sign_out_at = NULL,
        updated_at = now(),
        deleted_at = m.deleted_at
    FROM identity.stack_user_profiles AS m
    WHERE p.user_id = %(user_id)b::uuid AND p.user_id = m.stack_user_id
    RETURNING p.user_id, identity.image(p) AS after_image
)

INSERT INTO identity.profile_audit (
    user_id, company_id, operation, changed_fields, previous_values, new_values, source, message_id, seq
)
SELECT
    b.user_id,
    b.company_id,
    'deleted',
    identity.changed_fields(b.before_image, k.after_image),
    b.before_image,
    k.after_image,
    o.source,
    o.message_id,
    o.seq
FROM before AS b
INNER JOIN kept AS k ON b.user_id = k.user_id
INNER JOIN consumer.outbox AS o ON b.user_id = o.user_id AND o.seq = ANY(%(seqs)b::bigint[])
WHERE b.before_image IS DISTINCT FROM k.after_image
ORDER BY (o.event_type = 'user.deleted') DESC, o.occurred_at ASC
LIMIT 1;
