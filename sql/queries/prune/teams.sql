-- What may be removed of the next teams' own deliveries, as prune/users tells of users. Memberships are
-- those of users. What shows that a company exists stays by itself: the newest event or a deletion of each team, and
-- of each user in it a join, a removal or a snapshot that selects it; `company.declared` is never removed.
-- page:    the first page_size deliveries by team, of the types that are removed
-- reach:   the last team that is looked at, and whether it is cut
-- repeats: those of the page that repeat a removed delivery, and so tell nothing
-- delivered: the deliveries of these teams
-- done:    those of them that count
-- told:    all facts of each, by kind: the highest weight wins, then the version
-- holders: the deliveries that tell a fact best
WITH page AS MATERIALIZED (
    SELECT
        team_id,
        seq
    FROM consumer.outbox
    WHERE
        team_id IS NOT NULL
        AND (%(after_id)b::uuid IS NULL OR team_id > %(after_id)b::uuid)
        AND event_type IN ('team.created', 'team.updated', 'team.deleted')
    ORDER BY team_id
    LIMIT %(page_size)b::integer
),

last_teams AS MATERIALIZED (
    SELECT
        team_id,
        (SELECT count(*) FROM page) = %(page_size)b::integer AS is_full,
        row_number() OVER (ORDER BY team_id DESC) AS place,
        count(*) OVER () AS team_count
    FROM (
        SELECT DISTINCT team_id
        FROM page
    ) AS teams
),

reach AS MATERIALIZED (
    SELECT
        team_id,
        is_full AND team_count = 1 AS is_cut
    FROM last_teams
    WHERE place = CASE WHEN is_full AND team_count > 1 THEN 2 ELSE 1 END
),

repeats AS MATERIALIZED (
    SELECT unnest(consumer.pruned_repeats(ARRAY(SELECT p.seq FROM page AS p))) AS seq
),

delivered AS MATERIALIZED (
    SELECT
        o.seq,
        o.team_id,
        o.event_type,
        o.source,
        o.occurred_at,
        o.received_at,
        consumer.version(o.source, o.occurred_at, o.message_id) AS version,
        split_part(o.message_id, ':', 2) AS answers
    FROM page AS p
    INNER JOIN reach AS r ON p.team_id <= r.team_id
    INNER JOIN consumer.outbox AS o ON p.seq = o.seq
    INNER JOIN consumer.outcomes AS d ON o.seq = d.seq AND d.outcome IN ('applied', 'unchanged', 'stale')
),

done AS MATERIALIZED (
    SELECT
        d.*,
        d.event_type <> 'team.deleted' AS is_named
    FROM delivered AS d
    WHERE
        d.received_at < %(until)b::timestamptz
        AND NOT EXISTS (
            SELECT FROM repeats AS r
            WHERE r.seq = d.seq
        )
),

told AS (
    SELECT
        d.team_id,
        d.seq,
        f.kind,
        f.weight,
        d.version
    FROM done AS d
    -- A row for each kind. ST05 takes the correlated rows for a sub-select.
    CROSS JOIN LATERAL ( -- noqa: ST05
        -- The newest name and logo.
        SELECT
            'event' AS kind,
            0::numeric AS weight
        WHERE d.is_named
        UNION ALL
        -- The oldest deletion that was told, the latest that reconcile found, the newest sign of life.
        SELECT
            'deletion',
            -extract(EPOCH FROM d.occurred_at)
        WHERE NOT d.is_named AND d.source <> 'reconcile'
        UNION ALL
        SELECT
            'missing',
            extract(EPOCH FROM d.occurred_at)
        WHERE NOT d.is_named AND d.source = 'reconcile'
        UNION ALL
        SELECT
            'seen',
            extract(EPOCH FROM d.occurred_at)
        WHERE d.is_named AND (d.source = 'stack' OR (d.source = 'reconcile' AND d.answers = 'team'))
    ) AS f
),

holders AS MATERIALIZED (
    SELECT DISTINCT ON (t.team_id, t.kind) t.seq
    FROM told AS t
    ORDER BY t.team_id ASC, t.kind ASC, t.weight DESC, t.version COLLATE "C" DESC
),

removable AS (
    SELECT
        d.seq,
        d.event_type
    FROM delivered AS d
    WHERE
        d.received_at < %(until)b::timestamptz
        AND NOT EXISTS (
            SELECT FROM holders AS h
            WHERE h.seq = d.seq
        )
        AND NOT EXISTS (
            SELECT FROM consumer.rehome AS r
            WHERE r.seq = d.seq
        )
    ORDER BY d.seq
    LIMIT %(removed_max)b::integer
)

SELECT
    coalesce(array_agg(r.seq), '{}') AS seqs,
    coalesce(array_agg(r.event_type), '{}') AS event_types,
    (SELECT h.team_id FROM reach AS h) AS last_id,
    coalesce((SELECT h.is_cut FROM reach AS h), FALSE) AS is_cut
FROM removable AS r;
