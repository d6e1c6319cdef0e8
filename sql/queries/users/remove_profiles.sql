-- Delete the profiles and memberships of users that are erased, or deleted under the delete policy `hard`, except users
-- marked is_held; audit each deleted profile.
-- Return one row: the deliveries that the audit names, and the users with a deleted profile.
-- claimed is MATERIALIZED, because joining through users would read every delivery they ever sent.
WITH claimed AS MATERIALIZED (
    SELECT
        seq,
        user_id,
        event_type,
        source,
        occurred_at,
        message_id
    FROM consumer.outbox
    WHERE seq = ANY(%(seqs)b::bigint[])
),

removed AS (
    DELETE FROM identity.profiles AS p
    USING identity.stack_user_profiles AS m, consumer.settings AS s
    WHERE
        p.user_id = ANY(%(user_ids)b::uuid[])
        AND p.user_id = m.stack_user_id
        AND m.deleted_at IS NOT NULL
        AND NOT m.is_held
        AND (s.delete_policy = 'hard' OR m.is_erased OR m.is_removed)
    RETURNING p.user_id, p.company_id, m.is_erased, identity.image(p) AS before_image
),

left_companies AS (
    DELETE FROM identity.company_members AS b
    USING identity.stack_user_profiles AS m, consumer.settings AS s
    WHERE
        b.user_id = ANY(%(user_ids)b::uuid[])
        AND b.user_id = m.stack_user_id
        AND m.deleted_at IS NOT NULL
        AND NOT m.is_held
        AND (s.delete_policy = 'hard' OR m.is_erased OR m.is_removed)
),

audited AS (
    INSERT INTO identity.profile_audit (
        user_id, company_id, operation, changed_fields, previous_values, new_values, source, message_id, seq
    )
    SELECT DISTINCT ON (r.user_id)
        r.user_id,
        r.company_id,
        coalesce(%(operation)b::text, CASE WHEN r.is_erased THEN 'erased' ELSE 'deleted' END),
        identity.changed_fields(r.before_image, '{}'),
        r.before_image,
        NULL,
        o.source,
        o.message_id,
        o.seq
    FROM removed AS r
    INNER JOIN claimed AS o ON r.user_id = o.user_id
    ORDER BY r.user_id ASC, (o.event_type IN ('user.deleted', 'user.erased')) DESC, o.occurred_at ASC
    RETURNING seq
)

SELECT
    (SELECT coalesce(array_agg(seq), '{}') FROM audited) AS seqs,
    (SELECT coalesce(array_agg(user_id), '{}') FROM removed) AS user_ids;
