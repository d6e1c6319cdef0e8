-- Count listed users with news by kind: those that no row shows, and those of which a row shows another content.
-- Neither those deleted here, nor those of which a newer event is known, nor those that the run has stored already.
-- Later activity alone is no drift.
WITH listed AS MATERIALIZED (
    SELECT
        l.user_id,
        l.document::jsonb -> 'data' AS data
    FROM unnest(
        %(user_ids)b::uuid[], %(message_ids)b::text[], %(documents)b::text[]
    ) AS l (user_id, message_id, document)
    WHERE
        NOT EXISTS (
            SELECT FROM consumer.outbox AS o
            WHERE o.source = 'reconcile' AND o.message_id = l.message_id
        )
),

judged AS (
    SELECT
        CASE
            WHEN m.stack_user_id IS NULL OR m.version < '1' THEN 'missing_user'
            WHEN
                jsonb_build_array(
                    m.stack_display_name,
                    m.stack_primary_email,
                    m.stack_primary_email_verified,
                    m.stack_profile_image_url,
                    m.stack_metadata,
                    m.is_anonymous,
                    m.is_restricted,
                    m.signed_up_at
                ) <> jsonb_build_array(
                    l.data ->> 'display_name',
                    consumer.metadata_text(l.data, 'primary_email'),
                    (l.data ->> 'primary_email_verified')::boolean,
                    l.data ->> 'profile_image_url',
                    jsonb_build_object(
                        'client', l.data -> 'client_metadata',
                        'client_read_only', l.data -> 'client_read_only_metadata',
                        'server', l.data -> 'server_metadata'
                    ),
                    coalesce((l.data ->> 'is_anonymous')::boolean, FALSE),
                    (l.data ->> 'is_restricted')::boolean,
                    consumer.instant(l.data ->> 'signed_up_at_millis')
                )
                THEN 'stale_user'
        END AS kind
    FROM listed AS l
    LEFT JOIN identity.stack_user_profiles AS m ON l.user_id = m.stack_user_id
    WHERE
        m.deleted_at IS NULL
        AND coalesce(m.version < consumer.version('reconcile', %(occurred_at)b::timestamptz, ''), TRUE)
)

SELECT
    j.kind,
    count(*) AS found
FROM judged AS j
WHERE j.kind IS NOT NULL
GROUP BY j.kind;
