-- Those of the listed users of which no row would change: the newest snapshot that is applied says the same in every
-- field that a row is made of, and knows as late an activity.
-- listed: the users with what the API tells
-- known:  `listed` beside the newest snapshot, if it is Stack's
WITH listed AS MATERIALIZED (
    SELECT
        l.user_id,
        l.document::jsonb -> 'data' AS data
    FROM unnest(%(user_ids)b::uuid[], %(documents)b::text[]) AS l (user_id, document)
),

known AS MATERIALIZED (
    SELECT
        l.user_id,
        l.data,
        m.last_active_at,
        convert_from(coalesce(o.reduced, o.body), 'UTF8')::jsonb -> 'data' AS stored
    FROM listed AS l
    INNER JOIN identity.stack_user_profiles AS m ON l.user_id = m.stack_user_id
    INNER JOIN consumer.outbox AS o
        ON
            m.message_id = o.message_id
            AND o.source IN ('stack', 'backfill', 'reconcile')
            AND m.version = consumer.version(o.source, o.occurred_at, o.message_id)
)

SELECT k.user_id
FROM known AS k
WHERE
    jsonb_build_array(
        k.data -> 'display_name',
        k.data -> 'primary_email',
        k.data -> 'primary_email_verified',
        k.data -> 'profile_image_url',
        k.data -> 'client_metadata',
        k.data -> 'client_read_only_metadata',
        k.data -> 'server_metadata',
        k.data -> 'is_anonymous',
        k.data -> 'is_restricted',
        k.data -> 'signed_up_at_millis',
        k.data #> '{selected_team,id}',
        k.data #> '{selected_team,display_name}',
        k.data #> '{selected_team,profile_image_url}'
    ) = jsonb_build_array(
        k.stored -> 'display_name',
        k.stored -> 'primary_email',
        k.stored -> 'primary_email_verified',
        k.stored -> 'profile_image_url',
        k.stored -> 'client_metadata',
        k.stored -> 'client_read_only_metadata',
        k.stored -> 'server_metadata',
        k.stored -> 'is_anonymous',
        k.stored -> 'is_restricted',
        k.stored -> 'signed_up_at_millis',
        k.stored #> '{selected_team,id}',
        k.stored #> '{selected_team,display_name}',
        k.stored #> '{selected_team,profile_image_url}'
    )
    AND coalesce(consumer.instant(k.data ->> 'last_active_at_millis') <= k.last_active_at, TRUE);
