-- Fold the claimed deliveries about teams into identity.companies: name and logo from the newest event of the team,
-- else from the newest selected team in a user from Stack; deleted_at from its deletions. Each team that a delivery
-- names gets a row.
-- A selected team does not touch a company that has an event of its own: it would lock a row that every batch needs.
-- Queue a company in consumer.rehome if it was deleted or lives again, or created after an edit or metadata named it.
-- Return one row: the deliveries that changed a company, and those that a newer delivery supersedes.
-- selecting: deliveries that name a selected team without an event of its own so far
-- teams:     deliveries about a team, its own events and `selecting`, each with version and body
-- ends:      what tells of each company's deletion: the oldest deletion, the latest that reconcile found, the newest
--            event that shows the company alive, and the deliveries with them
-- merged:    `ends`, joined with what is stored
-- newest:    the newest name and logo of each company
-- offered:   the companies that change, compared with the stored rows
-- written:   `offered`, put into identity.companies
-- queued:    companies put into consumer.rehome
WITH selecting AS MATERIALIZED (
    SELECT
        n.seq,
        n.company_id
    FROM unnest(%(selecting)b::bigint[], %(selected)b::uuid[]) AS n (seq, company_id)
    LEFT JOIN identity.companies AS known ON n.company_id = known.id
    WHERE known.id IS NULL OR known.version < '1'
),

teams AS MATERIALIZED (
    SELECT
        o.seq,
        o.team_id AS company_id,
        CASE WHEN o.event_type = 'team.deleted' AND o.source <> 'reconcile' THEN o.occurred_at END AS deletion_at,
        CASE WHEN o.event_type = 'team.deleted' AND o.source = 'reconcile' THEN o.occurred_at END AS missing_at,
        -- A list may come from a replica that lags, so only an answer about this one team shows it alive.
        CASE
            WHEN
                o.event_type IN ('team.created', 'team.updated')
                AND (o.source = 'stack' OR (o.source = 'reconcile' AND split_part(o.message_id, ':', 2) = 'team'))
                THEN o.occurred_at
        END AS seen_at,
        CASE
            WHEN o.event_type IN ('team.created', 'team.updated')
                THEN consumer.version(o.source, o.occurred_at, o.message_id)
            ELSE ''
        END AS version,
        CASE
            WHEN o.event_type IN ('team.created', 'team.updated')
                THEN convert_from(coalesce(o.reduced, o.body), 'UTF8')::jsonb -> 'data'
        END AS team
    FROM consumer.outbox AS o
    WHERE o.seq = ANY(%(seqs)b::bigint[])
    UNION ALL
    SELECT
        n.seq,
        n.company_id,
        NULL::timestamptz AS deletion_at,
        NULL::timestamptz AS missing_at,
        NULL::timestamptz AS seen_at,
        '0' || consumer.version(o.source, o.occurred_at, o.message_id) AS version,
        convert_from(coalesce(o.reduced, o.body), 'UTF8')::jsonb #> '{data,selected_team}' AS team
    FROM selecting AS n
    INNER JOIN consumer.outbox AS o ON n.seq = o.seq
),

ends AS MATERIALIZED (
    SELECT
        company_id,
        min(deletion_at) AS deletion_at,
        max(missing_at) AS missing_at,
        max(seen_at) AS seen_at,
        (array_agg(seq ORDER BY deletion_at, seq) FILTER (WHERE deletion_at IS NOT NULL))[1] AS deleted_by,
        (array_agg(seq ORDER BY missing_at DESC, seq ASC) FILTER (WHERE missing_at IS NOT NULL))[1] AS missed_by,
        (array_agg(seq ORDER BY seen_at DESC, seq ASC) FILTER (WHERE seen_at IS NOT NULL))[1] AS seen_by
    FROM teams
    GROUP BY company_id
),

newest AS MATERIALIZED (
    SELECT DISTINCT ON (company_id)
        company_id,
        seq,
        version COLLATE "C" AS version,
        coalesce(team ->> 'display_name', 'Unnamed team') AS name,
        team ->> 'profile_image_url' AS logo_url
    FROM teams
    ORDER BY company_id ASC, version COLLATE "C" DESC, seq ASC
),

merged AS MATERIALIZED (
    SELECT
        e.company_id,
        e.deleted_by,
        e.missed_by,
        e.seen_by,
        least(e.deletion_at, known.deletion_at) AS deletion_at,
        greatest(e.missing_at, known.missing_at) AS missing_at,
        greatest(e.seen_at, known.seen_at) AS seen_at,
        consumer.tombstone(
            least(e.deletion_at, known.deletion_at),
            greatest(e.missing_at, known.missing_at),
            greatest(e.seen_at, known.seen_at)
        ) AS deleted_at
    FROM ends AS e
    LEFT JOIN identity.companies AS known ON e.company_id = known.id
),

-- The batch holds an exclusive lock on each company that it creates or deletes, so these comparisons stay true.
offered AS MATERIALIZED (
    SELECT
        n.company_id,
        n.seq,
        n.version,
        n.name,
        n.logo_url,
        m.deletion_at,
        m.missing_at,
        m.seen_at,
        m.deleted_at,
        CASE
            WHEN m.deleted_at IS NULL THEN m.seen_by
            WHEN m.deleted_at = m.deletion_at THEN m.deleted_by
            ELSE m.missed_by
        END AS ended_by,
        known.id IS NULL AS is_new,
        (m.deleted_at IS DISTINCT FROM known.deleted_at) AS is_ended,
        (
            n.version > known.version
            AND row(n.name, n.logo_url) IS DISTINCT FROM row(known.name, known.logo_url)
        ) AS is_renamed
    FROM newest AS n
    INNER JOIN merged AS m ON n.company_id = m.company_id
    LEFT JOIN identity.companies AS known ON n.company_id = known.id
    WHERE
        known.id IS NULL
        OR n.version > known.version
        OR row(m.deletion_at, m.missing_at, m.seen_at)
        IS DISTINCT FROM row(known.deletion_at, known.missing_at, known.seen_at)
),

written AS (
    INSERT INTO identity.companies AS known (
        id,
        name,
        logo_url,
        version,
        guest_key,
        created_at,
        updated_at,
        deletion_at,
        missing_at,
        seen_at,
        deleted_at
    )
    SELECT
        company_id,
        name,
        logo_url,
        version,
        consumer.guest_key(
            (
                SELECT s.guest_salt
                FROM consumer.settings AS s
            ),
            company_id
        ),
        now(),
        now(),
        deletion_at,
        missing_at,
        seen_at,
        deleted_at
    FROM offered
    ORDER BY company_id
    ON CONFLICT (id) DO UPDATE
        SET
            name = CASE WHEN excluded.version > known.version THEN excluded.name ELSE known.name END,
            logo_url = CASE WHEN excluded.version > known.version THEN excluded.logo_url ELSE known.logo_url END,
            version = greatest(excluded.version, known.version),
            updated_at = CASE
                WHEN
                    excluded.deleted_at IS DISTINCT FROM known.deleted_at
                    OR (
                        excluded.version > known.version
                        AND row(excluded.name, excluded.logo_url) IS DISTINCT FROM row(known.name, known.logo_url)
                    )
                    THEN excluded.updated_at
                ELSE known.updated_at
            END,
            deletion_at = least(excluded.deletion_at, known.deletion_at),
            missing_at = greatest(excluded.missing_at, known.missing_at),
            seen_at = greatest(excluded.seen_at, known.seen_at),
            deleted_at = consumer.tombstone(
                least(excluded.deletion_at, known.deletion_at),
                greatest(excluded.missing_at, known.missing_at),
                greatest(excluded.seen_at, known.seen_at)
            )
        WHERE
        excluded.version > known.version
            OR row(
                least(excluded.deletion_at, known.deletion_at),
                greatest(excluded.missing_at, known.missing_at),
                greatest(excluded.seen_at, known.seen_at)
            ) IS DISTINCT FROM row(known.deletion_at, known.missing_at, known.seen_at)
),

queued AS (
    INSERT INTO consumer.rehome (company_id, seq)
    SELECT
        o.company_id,
        coalesce(CASE WHEN o.is_ended THEN o.ended_by END, o.seq)
    FROM offered AS o
    WHERE
        (o.is_ended AND NOT o.is_new)
        OR (
            o.is_new
            AND (
                EXISTS (
                    SELECT FROM identity.stack_user_profiles AS m
                    WHERE m.source_company_id = o.company_id
                )
                OR EXISTS (
                    SELECT FROM consumer.edits AS e
                    WHERE e.field = 'company_id' AND e.value = o.company_id::text
                )
            )
        )
    ORDER BY o.company_id
)

SELECT
    (
        SELECT coalesce(array_agg(c.seq), '{}')
        FROM (
            SELECT seq FROM offered
            WHERE is_new OR is_renamed
            UNION
            SELECT ended_by AS seq FROM offered
            WHERE is_ended AND ended_by IS NOT NULL
        ) AS c
    ) AS applied,
    (
        SELECT coalesce(array_agg(t.seq), '{}')
        FROM teams AS t
        INNER JOIN newest AS n ON t.company_id = n.company_id
        LEFT JOIN identity.companies AS known ON t.company_id = known.id
        WHERE t.version <> '' AND t.version < greatest(n.version, known.version)
    ) AS stale;
