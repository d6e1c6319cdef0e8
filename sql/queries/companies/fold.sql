-- Fold the claimed deliveries about teams into identity.companies: name and logo from the newest event of the team,
-- else from the newest selected team in a user from Stack; deleted_at from the oldest deletion. Each team that a
-- delivery names gets a row.
-- A selected team does not touch a company that has an event of its own: it would lock a row that every batch needs.
-- Queue a company in consumer.rehome if it was deleted, or created after an edit or metadata named it.
-- Return one row: the deliveries that changed a company, and those that a newer delivery supersedes.
-- selecting: deliveries that name a selected team without an event of its own so far
-- teams:     deliveries about a team, its own events and `selecting`, each with version and body
-- deletions: the oldest deletion of each company
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
        o.event_type,
        o.occurred_at,
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
        o.event_type,
        o.occurred_at,
        '0' || consumer.version(o.source, o.occurred_at, o.message_id) AS version,
        convert_from(coalesce(o.reduced, o.body), 'UTF8')::jsonb #> '{data,selected_team}' AS team
    FROM selecting AS n
    INNER JOIN consumer.outbox AS o ON n.seq = o.seq
),

deletions AS MATERIALIZED (
    SELECT DISTINCT ON (company_id)
        company_id,
        occurred_at AS deleted_at,
        seq AS deleted_by
    FROM teams
    WHERE event_type = 'team.deleted'
    ORDER BY company_id, occurred_at, seq
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

-- The batch holds an exclusive lock on each company that it creates or deletes, so these comparisons stay true.
offered AS MATERIALIZED (
    SELECT
        n.company_id,
        n.seq,
        n.version,
        n.name,
        n.logo_url,
        d.deleted_at,
        d.deleted_by,
        known.id IS NULL AS is_new,
        d.deleted_at < coalesce(known.deleted_at, 'infinity') AS is_deletion,
        (
            n.version > known.version
            AND row(n.name, n.logo_url) IS DISTINCT FROM row(known.name, known.logo_url)
        ) AS is_renamed
    FROM newest AS n
    LEFT JOIN deletions AS d ON n.company_id = d.company_id
    LEFT JOIN identity.companies AS known ON n.company_id = known.id
    WHERE known.id IS NULL OR n.version > known.version OR d.deleted_at < coalesce(known.deleted_at, 'infinity')
),

written AS (
    INSERT INTO identity.companies AS known (id, name, logo_url, version, guest_key, created_at, updated_at, deleted_at)
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
                    excluded.deleted_at < coalesce(known.deleted_at, 'infinity')
                    OR (
                        excluded.version > known.version
                        AND row(excluded.name, excluded.logo_url) IS DISTINCT FROM row(known.name, known.logo_url)
                    )
                    THEN excluded.updated_at
                ELSE known.updated_at
            END,
            deleted_at = least(excluded.deleted_at, known.deleted_at)
        WHERE excluded.version > known.version OR excluded.deleted_at < coalesce(known.deleted_at, 'infinity')
),

queued AS (
    INSERT INTO consumer.rehome (company_id, seq)
    SELECT
        o.company_id,
        CASE WHEN o.is_deletion THEN o.deleted_by ELSE o.seq END
    FROM offered AS o
    WHERE
        (o.is_deletion AND NOT o.is_new)
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
            SELECT deleted_by AS seq FROM offered
            WHERE is_deletion
        ) AS c
    ) AS applied,
    (
        SELECT coalesce(array_agg(t.seq), '{}')
        FROM teams AS t
        INNER JOIN newest AS n ON t.company_id = n.company_id
        LEFT JOIN identity.companies AS known ON t.company_id = known.id
        WHERE t.version <> '' AND t.version < greatest(n.version, known.version)
    ) AS stale;
