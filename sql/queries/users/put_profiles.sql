-- Derive the profiles of the written users from mirror and edits. Audit each change with the images before and after,
-- and with the delivery that caused it. The first of these is the cause: a deletion that the profile does not show yet;
-- the winning snapshot, if it has new content; another delivery that changed something; the latest delivery. For
-- re-homed users the cause is the delivery about the company. A move writes an audit row under either company. The
-- operation in the audit is the one given, else it follows from the images; a new profile is imported, not created, if
-- of all the batch only Stack's API tells of its user.
-- Return one row: the deliveries that the audit names, the users with a written profile, and those of them whose guest
-- memberships may have another name.
-- The users are locked by their mirror rows, so each row read here is still the same when it is overwritten.
-- claimed is MATERIALIZED, because joining through users would read every delivery they ever sent.
-- claimed:    the claimed deliveries, and for each re-homed user the delivery about the company
-- imports:    the users whose snapshots in the batch all come from Stack's API
-- candidates: one row per user: the derived profile, the stored one (`known`), and the delivery for the audit
-- compared:   `candidates`, with is_changed where an audited field differs
-- written:    `compared`, put into identity.profiles where any field differs
-- imaged:     the profiles written with is_changed, with operation and images, and by field the edit that explains it
-- steps:      the audit rows where the images differ: two for a move between companies, else one
-- audited:    `steps`, put into identity.profile_audit
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
    UNION ALL
    -- It may have been removed meanwhile (prune).
    SELECT
        %(rehomed_by)b::bigint AS seq,
        r.user_id,
        o.event_type,
        coalesce(o.source, 'operator') AS source,
        o.occurred_at,
        coalesce(o.message_id, 'rehome') AS message_id
    FROM unnest(%(rehomed)b::uuid[]) AS r (user_id)
    LEFT JOIN consumer.outbox AS o ON o.seq = %(rehomed_by)b::bigint
),

imports AS (
    SELECT user_id
    FROM claimed
    WHERE event_type IN ('user.created', 'user.updated')
    GROUP BY user_id
    HAVING bool_and(source IN ('backfill', 'reconcile'))
),

candidates AS MATERIALIZED (
    SELECT DISTINCT ON (m.stack_user_id)
        m.stack_user_id AS user_id,
        m.company_id,
        m.guest_keys,
        CASE
            WHEN m.is_forgotten THEN 'Deleted user'
            ELSE coalesce(nullif(consumer.trimmed(m.stack_display_name), ''), 'Unknown User')
        END AS full_name,
        m.stack_primary_email AS email,
        m.stack_primary_email_verified AS email_verified,
        m.stack_profile_image_url AS avatar_url,
        coalesce(r.value, m.source_role, s.default_role) AS role_type,
        coalesce(d.value, m.source_department, s.default_department) AS department,
        m.is_restricted,
        m.last_active_at,
        m.last_sign_in_at,
        m.last_sign_out_at,
        m.deleted_at,
        p AS known,
        o.source,
        o.message_id,
        o.seq
    FROM claimed AS o
    INNER JOIN identity.stack_user_profiles AS m ON o.user_id = m.stack_user_id
    LEFT JOIN identity.profiles AS p ON m.stack_user_id = p.user_id
    LEFT JOIN consumer.edits AS r ON m.stack_user_id = r.user_id AND r.field = 'role_type'
    LEFT JOIN consumer.edits AS d ON m.stack_user_id = d.user_id AND d.field = 'department'
    CROSS JOIN consumer.settings AS s
    WHERE
        m.stack_user_id = ANY(%(written)b::uuid[])
        AND m.has_profile
        AND NOT m.is_removed
    ORDER BY
        m.stack_user_id ASC,
        (
            o.event_type IN ('user.deleted', 'user.erased')
            AND o.occurred_at = m.deleted_at
            AND (p.deleted_at IS DISTINCT FROM m.deleted_at)
        ) DESC,
        (
            consumer.version(o.source, o.occurred_at, o.message_id) = m.version
            AND m.stack_user_id = ANY(%(changed)b::uuid[])
        ) DESC,
        (o.seq = ANY(%(applied)b::bigint[])) DESC,
        o.occurred_at DESC,
        o.seq DESC
),

compared AS MATERIALIZED (
    SELECT
        c.*,
        identity.folded(c.full_name) COLLATE "C" AS search_name,
        (
            row(
                (c.known).user_id,
                (c.known).company_id,
                (c.known).full_name,
                (c.known).email,
                (c.known).email_verified,
                (c.known).avatar_url,
                (c.known).role_type,
                (c.known).department,
                (c.known).is_restricted,
                (c.known).deleted_at
            ) IS DISTINCT FROM row(
                c.user_id,
                c.company_id,
                c.full_name,
                c.email,
                c.email_verified,
                c.avatar_url,
                c.role_type,
                c.department,
                c.is_restricted,
                c.deleted_at
            )
        ) AS is_changed
    FROM candidates AS c
),

written AS (
    INSERT INTO identity.profiles AS p (
        user_id,
        company_id,
        guest_keys,
        full_name,
        search_name,
        email,
        email_verified,
        avatar_url,
        role_type,
        department,
        is_restricted,
        last_active_at,
        last_sign_in_at,
        last_sign_out_at,
        created_at,
        updated_at,
        deleted_at
    )
    SELECT
        c.user_id,
        c.company_id,
        c.guest_keys,
        c.full_name,
        c.search_name,
        c.email,
        c.email_verified,
        c.avatar_url,
        c.role_type,
        c.department,
        c.is_restricted,
        c.last_active_at,
        c.last_sign_in_at,
        c.last_sign_out_at,
        now(),
        CASE WHEN c.is_changed THEN now() ELSE (c.known).updated_at END,
        c.deleted_at
    FROM compared AS c
    WHERE
        c.is_changed
        OR row(
            (c.known).guest_keys,
            (c.known).search_name,
            (c.known).last_active_at,
            (c.known).last_sign_in_at,
            (c.known).last_sign_out_at
        ) IS DISTINCT FROM row(
            c.guest_keys, c.search_name, c.last_active_at, c.last_sign_in_at, c.last_sign_out_at
        )
    ORDER BY c.user_id
    ON CONFLICT (user_id) DO UPDATE
        SET
            company_id = excluded.company_id,
            guest_keys = excluded.guest_keys,
            full_name = excluded.full_name,
            search_name = excluded.search_name,
            email = excluded.email,
            email_verified = excluded.email_verified,
            avatar_url = excluded.avatar_url,
            role_type = excluded.role_type,
            department = excluded.department,
            is_restricted = excluded.is_restricted,
            last_active_at = excluded.last_active_at,
            last_sign_in_at = excluded.last_sign_in_at,
            last_sign_out_at = excluded.last_sign_out_at,
            updated_at = excluded.updated_at,
            deleted_at = excluded.deleted_at
    RETURNING p.user_id, identity.image(p) AS after_image
),

-- The image shows the row as stored: an application's trigger may have changed it or kept it out.
imaged AS MATERIALIZED (
    SELECT
        c.user_id,
        (c.known).company_id AS old_company_id,
        c.company_id,
        c.source,
        c.message_id,
        c.seq,
        CASE
            WHEN %(operation)b::text IS NOT NULL THEN %(operation)b::text
            WHEN (c.known).user_id IS NULL AND c.user_id IN (SELECT i.user_id FROM imports AS i) THEN 'imported'
            WHEN (c.known).user_id IS NULL THEN 'created'
            WHEN (c.known).deleted_at IS NULL AND c.deleted_at IS NOT NULL THEN 'deleted'
            ELSE 'updated'
        END AS operation,
        CASE WHEN (c.known).user_id IS NOT NULL THEN identity.image(c.known) END AS before_image,
        w.after_image,
        -- An edit explains the value that it gives, whenever the profile gets it; a withdrawal only its own batch. Most
        -- batches have no user with an edit, which is asked once.
        CASE
            WHEN
                EXISTS (
                    SELECT FROM consumer.edits AS e
                    WHERE e.user_id = ANY(%(written)b::uuid[])
                )
                THEN (
                    SELECT jsonb_object_agg(e.field, convert_from(coalesce(o.reduced, o.body), 'UTF8')::jsonb -> 'data')
                    FROM consumer.edits AS e
                    INNER JOIN consumer.outbox AS o ON e.seq = o.seq
                    WHERE
                        e.user_id = c.user_id
                        AND (
                            e.value = w.after_image ->> e.field
                            OR (e.value IS NULL AND e.seq = ANY(%(seqs)b::bigint[]))
                        )
                )
        END AS edits
    FROM compared AS c
    INNER JOIN written AS w ON c.user_id = w.user_id
    WHERE c.is_changed
),

-- In a move, neither company may learn the id of the other.
steps AS (
    SELECT
        user_id,
        1 AS step,
        old_company_id AS company_id,
        'company_changed' AS operation,
        before_image,
        before_image || '{"company_id": null}' AS after_image,
        ARRAY['company_id'] AS changed_fields,
        edits,
        source,
        message_id,
        seq
    FROM imaged
    WHERE old_company_id <> company_id AND before_image IS DISTINCT FROM after_image
    UNION ALL
    SELECT
        user_id,
        2 AS step,
        coalesce(company_id, old_company_id),
        operation,
        CASE WHEN old_company_id <> company_id THEN before_image || '{"company_id": null}' ELSE before_image END,
        after_image,
        identity.changed_fields(before_image, after_image),
        edits,
        source,
        message_id,
        seq
    FROM imaged
    WHERE before_image IS DISTINCT FROM after_image
),

audited AS (
    INSERT INTO identity.profile_audit (
        user_id,
        company_id,
        operation,
        changed_fields,
        previous_values,
        new_values,
        source,
        message_id,
        seq,
        edited_by,
        reason
    )
    SELECT
        s.user_id,
        s.company_id,
        s.operation,
        s.changed_fields,
        s.before_image,
        s.after_image,
        s.source,
        s.message_id,
        s.seq,
        -- Several people in one row: their edits of different fields came in one batch. Sorted by bytes, as in every
        -- locale. RF02 takes the collation for a column.
        CASE
            WHEN s.edits IS NOT NULL
                THEN (
                    SELECT string_agg(DISTINCT (e.value ->> 'edited_by') COLLATE "C", ', ') -- noqa: RF02
                    FROM jsonb_each(s.edits) AS e
                    WHERE e.key = ANY(s.changed_fields)
                )
        END AS edited_by,
        CASE
            WHEN s.edits IS NOT NULL
                THEN (
                    SELECT string_agg(DISTINCT (e.value ->> 'reason') COLLATE "C", ', ') -- noqa: RF02
                    FROM jsonb_each(s.edits) AS e
                    WHERE e.key = ANY(s.changed_fields)
                )
        END AS reason
    FROM steps AS s
    ORDER BY s.user_id, s.step
    RETURNING seq
)

SELECT
    (SELECT coalesce(array_agg(seq), '{}') FROM audited) AS seqs,
    (SELECT coalesce(array_agg(user_id), '{}') FROM written) AS user_ids,
    (
        SELECT coalesce(array_agg(c.user_id), '{}')
        FROM compared AS c
        WHERE
            c.guest_keys IS NOT NULL
            AND row((c.known).guest_keys, (c.known).search_name) IS DISTINCT FROM row(c.guest_keys, c.search_name)
    ) AS guest_ids;
