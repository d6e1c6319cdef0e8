-- Fold the claimed deliveries about users into the mirror: the newest snapshot by version, the oldest deletion, the
-- latest of each other time. Run it first, in key order, because a mirror row is its user's lock: each user of the
-- batch gets a row and is locked by it, even if nothing changes.
-- A new user is at home in the default company until members/home decides under the companies' locks.
-- Return one row: the users with a written row; of these the users with new content, the deleted users, those that live
-- although reconcile once found them deleted, and those with new content that may change company; and the deliveries in
-- which Stack names a selected team, with that team.
-- delivered: the claimed deliveries, each with the `data` of its body
-- snapshots: `delivered`, with is_snapshot for those that hold a whole user
-- facts:     the snapshot, version, times and deletion that each delivery carries
-- folded:    one row per user: the newest snapshot, the latest times, the oldest deletion
-- written:   `folded`, put into identity.stack_user_profiles where it brings anything newer
-- selecting: deliveries from Stack that name a selected team
WITH delivered AS MATERIALIZED (
    SELECT
        o.seq,
        o.user_id,
        o.event_type,
        o.source,
        o.occurred_at,
        o.message_id,
        convert_from(coalesce(o.reduced, o.body), 'UTF8')::jsonb -> 'data' AS data
    FROM consumer.outbox AS o
    WHERE o.seq = ANY(%(seqs)b::bigint[])
),

-- Only a snapshot's fields are facts; the other fields of a deletion or a bare sign-in were never checked.
snapshots AS (
    SELECT
        d.*,
        (
            d.event_type IN ('user.created', 'user.updated')
            OR (d.event_type IN ('user.signed_in', 'user.signed_out') AND d.data ? 'primary_email')
        ) AS is_snapshot
    FROM delivered AS d
),

facts AS (
    SELECT
        s.user_id,
        s.occurred_at,
        s.message_id,
        s.source <> 'app' AS is_from_stack,
        CASE WHEN s.is_snapshot THEN s.data END AS data,
        CASE
            WHEN s.is_snapshot THEN consumer.version(s.source, s.occurred_at, s.message_id)
            ELSE ''
        END AS version,
        CASE WHEN s.is_snapshot THEN consumer.instant(s.data ->> 'last_active_at_millis') END AS last_active_at,
        CASE
            WHEN s.event_type = 'user.signed_in'
                THEN coalesce(consumer.instant(s.data ->> 'signed_in_at_millis'), s.occurred_at)
        END AS last_sign_in_at,
        CASE
            WHEN s.event_type = 'user.signed_out'
                THEN coalesce(consumer.instant(s.data ->> 'signed_out_at_millis'), s.occurred_at)
        END AS last_sign_out_at,
        CASE
            WHEN s.event_type = 'user.erased' OR (s.event_type = 'user.deleted' AND s.source <> 'reconcile')
                THEN s.occurred_at
        END AS deletion_at,
        CASE WHEN s.event_type = 'user.deleted' AND s.source = 'reconcile' THEN s.occurred_at END AS missing_at,
        -- A list may come from a replica that lags, so only an answer about this one user shows it alive.
        CASE
            WHEN
                s.is_snapshot
                AND (s.source = 'stack' OR (s.source = 'reconcile' AND split_part(s.message_id, ':', 2) = 'user'))
                THEN s.occurred_at
        END AS seen_at,
        s.event_type = 'user.erased' AS is_erased
    FROM snapshots AS s
),

folded AS (
    SELECT DISTINCT ON (user_id)
        f.user_id,
        f.occurred_at,
        f.message_id,
        f.data,
        f.is_from_stack,
        f.version,
        max(f.last_active_at) OVER by_user AS last_active_at,
        max(f.last_sign_in_at) OVER by_user AS last_sign_in_at,
        max(f.last_sign_out_at) OVER by_user AS last_sign_out_at,
        min(f.deletion_at) OVER by_user AS deletion_at,
        max(f.missing_at) OVER by_user AS missing_at,
        max(f.seen_at) OVER by_user AS seen_at,
        bool_or(f.is_erased) OVER by_user AS is_erased,
        bool_or(f.version <> '' AND NOT coalesce((f.data ->> 'is_anonymous')::boolean, FALSE))
            OVER by_user
            AS has_profile
    FROM facts AS f
    WINDOW by_user AS (PARTITION BY f.user_id)
    ORDER BY f.user_id, f.version COLLATE "C" DESC
),

written AS (
    INSERT INTO identity.stack_user_profiles AS known (
        stack_user_id,
        company_id,
        stack_display_name,
        stack_primary_email,
        stack_primary_email_verified,
        stack_profile_image_url,
        stack_metadata,
        is_anonymous,
        is_restricted,
        signed_up_at,
        source_role,
        source_department,
        source_company_id,
        last_active_at,
        last_sign_in_at,
        last_sign_out_at,
        has_profile,
        version,
        occurred_at,
        message_id,
        last_synced_at,
        sync_version,
        deletion_at,
        missing_at,
        seen_at,
        is_erased,
        deleted_at
    )
    SELECT
        f.user_id,
        CASE WHEN consumer.tombstone(f.deletion_at, f.missing_at, f.seen_at) IS NULL THEN c.id END,
        f.data ->> 'display_name',
        -- A blank e-mail is none.
        consumer.metadata_text(f.data, 'primary_email'),
        CASE WHEN f.is_from_stack THEN (f.data ->> 'primary_email_verified')::boolean END,
        f.data ->> 'profile_image_url',
        CASE
            WHEN f.is_from_stack AND f.version <> '' THEN jsonb_build_object(
                'client', f.data -> 'client_metadata',
                'client_read_only', f.data -> 'client_read_only_metadata',
                'server', f.data -> 'server_metadata'
            )
        END,
        CASE WHEN f.version <> '' THEN coalesce((f.data ->> 'is_anonymous')::boolean, FALSE) END,
        CASE WHEN f.is_from_stack THEN (f.data ->> 'is_restricted')::boolean END,
        CASE WHEN f.is_from_stack THEN consumer.instant(f.data ->> 'signed_up_at_millis') END,
        CASE WHEN f.is_from_stack THEN consumer.metadata_text(f.data -> 'server_metadata', s.role_key) END,
        CASE WHEN f.is_from_stack THEN consumer.metadata_text(f.data -> 'server_metadata', s.department_key) END,
        CASE WHEN f.is_from_stack THEN consumer.metadata_id(f.data -> 'server_metadata', s.company_key) END,
        f.last_active_at,
        f.last_sign_in_at,
        f.last_sign_out_at,
        f.has_profile,
        f.version,
        CASE WHEN f.version <> '' THEN f.occurred_at END,
        CASE WHEN f.version <> '' THEN f.message_id END,
        statement_timestamp(),
        1,
        f.deletion_at,
        f.missing_at,
        f.seen_at,
        f.is_erased,
        consumer.tombstone(f.deletion_at, f.missing_at, f.seen_at)
    FROM folded AS f
    CROSS JOIN consumer.settings AS s
    LEFT JOIN identity.companies AS c ON s.default_company_id = c.id AND c.deleted_at IS NULL
    ORDER BY f.user_id
    ON CONFLICT (stack_user_id) DO UPDATE
        SET
            company_id = CASE
                WHEN
                    consumer.tombstone(
                        least(excluded.deletion_at, known.deletion_at),
                        greatest(excluded.missing_at, known.missing_at),
                        greatest(excluded.seen_at, known.seen_at)
                    ) IS NULL
                    THEN known.company_id
            END,
            stack_display_name = CASE
                WHEN excluded.version > known.version THEN excluded.stack_display_name ELSE known.stack_display_name
            END,
            stack_primary_email = CASE
                WHEN excluded.version > known.version THEN excluded.stack_primary_email ELSE known.stack_primary_email
            END,
            stack_primary_email_verified = CASE
                WHEN excluded.version > known.version THEN excluded.stack_primary_email_verified
                ELSE known.stack_primary_email_verified
            END,
            stack_profile_image_url = CASE
                WHEN excluded.version > known.version THEN excluded.stack_profile_image_url
                ELSE known.stack_profile_image_url
            END,
            stack_metadata = CASE
                WHEN excluded.version > known.version THEN excluded.stack_metadata ELSE known.stack_metadata
            END,
            is_anonymous = CASE
                WHEN excluded.version > known.version THEN excluded.is_anonymous ELSE known.is_anonymous
            END,
            is_restricted = CASE
                WHEN excluded.version > known.version THEN excluded.is_restricted ELSE known.is_restricted
            END,
            signed_up_at = CASE
                WHEN excluded.version > known.version THEN excluded.signed_up_at ELSE known.signed_up_at
            END,
            source_role = CASE
                WHEN excluded.version > known.version THEN excluded.source_role ELSE known.source_role
            END,
            source_department = CASE
                WHEN excluded.version > known.version THEN excluded.source_department ELSE known.source_department
            END,
            source_company_id = CASE
                WHEN excluded.version > known.version THEN excluded.source_company_id ELSE known.source_company_id
            END,
            occurred_at = CASE
                WHEN excluded.version > known.version THEN excluded.occurred_at ELSE known.occurred_at
            END,
            message_id = CASE
                WHEN excluded.version > known.version THEN excluded.message_id ELSE known.message_id
            END,
            last_active_at = greatest(excluded.last_active_at, known.last_active_at),
            last_sign_in_at = greatest(excluded.last_sign_in_at, known.last_sign_in_at),
            last_sign_out_at = greatest(excluded.last_sign_out_at, known.last_sign_out_at),
            has_profile = excluded.has_profile OR known.has_profile,
            version = greatest(excluded.version, known.version),
            last_synced_at = CASE
                WHEN identity.is_news(excluded, known) THEN excluded.last_synced_at ELSE known.last_synced_at
            END,
            sync_version = known.sync_version + identity.is_news(excluded, known)::integer,
            deletion_at = least(excluded.deletion_at, known.deletion_at),
            missing_at = greatest(excluded.missing_at, known.missing_at),
            seen_at = greatest(excluded.seen_at, known.seen_at),
            is_erased = excluded.is_erased OR known.is_erased,
            deleted_at = consumer.tombstone(
                least(excluded.deletion_at, known.deletion_at),
                greatest(excluded.missing_at, known.missing_at),
                greatest(excluded.seen_at, known.seen_at)
            )
        WHERE identity.is_news(excluded, known) OR identity.is_newer(excluded, known)
    RETURNING
        known.stack_user_id,
        -- Only an inserted row and a row with news get the time of this statement.
        known.last_synced_at = statement_timestamp() AS is_changed,
        known.deleted_at IS NOT NULL AS is_deleted,
        known.deleted_at IS NULL AND known.missing_at IS NOT NULL AS is_lifted,
        -- A snapshot gives no home to a user that has none and no company in metadata: memberships and companies do.
        coalesce(known.company_id, known.source_company_id) IS NOT NULL AS is_placed
),

selecting AS (
    SELECT
        seq,
        (data #>> '{selected_team,id}')::uuid AS company_id
    FROM snapshots
    WHERE is_snapshot AND source <> 'app' AND data #>> '{selected_team,id}' IS NOT NULL
)

SELECT
    coalesce(array_agg(stack_user_id), '{}') AS written,
    coalesce(array_agg(stack_user_id) FILTER (WHERE is_changed), '{}') AS changed,
    coalesce(array_agg(stack_user_id) FILTER (WHERE is_deleted), '{}') AS deleted,
    coalesce(array_agg(stack_user_id) FILTER (WHERE is_lifted), '{}') AS lifted,
    coalesce(array_agg(stack_user_id) FILTER (WHERE is_changed AND is_placed), '{}') AS placed,
    (SELECT coalesce(array_agg(s.seq ORDER BY s.seq), '{}') FROM selecting AS s) AS selecting,
    (SELECT coalesce(array_agg(s.company_id ORDER BY s.seq), '{}') FROM selecting AS s) AS selected
FROM written;
