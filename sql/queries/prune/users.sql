-- What may be removed of the next users' deliveries: each fact of a removed one is also told, and better, by one that
-- stays. Workers beside it need no lock: what they apply only supersedes more, and what they make anew is read and
-- folded under the locks of its users and companies, so that nothing newer can come between.
-- Only deliveries that were applied count, and only these are removed; an erasure always stays. So do deliveries of
-- your own types, of which nobody knows what supersedes them, and those that a company in consumer.rehome waits with.
-- One that was received from `until` on supersedes nothing: every state since then can still be told (as_of).
-- Users are taken by id, from after_id on, as long as page_size deliveries last. The deliveries of the last one may not
-- all be in the page: then the user is left for the next page, or alone in this page (is_cut). Facts may be compared
-- within any part of a user's deliveries.
-- Return one row: the deliveries to remove with their types, the last user that was looked at (null: none is left), and
-- is_cut.
-- page:    the first page_size deliveries by user, of the types that are removed
-- reach:   the last user that is looked at, and whether it is cut
-- repeats: those of the page that repeat a removed delivery, and so tell nothing
-- delivered: the deliveries of these users, each with the `data` of its body
-- done:    those of them that count, each with the user object if it holds a whole one (snapshot)
-- read:    `done`, with what is read in the snapshot
-- told:    all facts of each, by kind and by what the fact is about (place): the highest weight wins, then the version
-- holders: the deliveries that tell a fact best
WITH page AS MATERIALIZED (
    SELECT
        user_id,
        seq
    FROM consumer.outbox
    WHERE
        user_id IS NOT NULL
        AND (%(after_id)b::uuid IS NULL OR user_id > %(after_id)b::uuid)
        AND event_type IN (
            'user.created', 'user.updated', 'user.deleted', 'user.signed_in', 'user.signed_out', 'profile.edited',
            'team_membership.created', 'team_membership.deleted', 'team_permission.created', 'team_permission.deleted'
        )
    ORDER BY user_id
    LIMIT %(page_size)b::integer
),

last_users AS MATERIALIZED (
    SELECT
        user_id,
        (SELECT count(*) FROM page) = %(page_size)b::integer AS is_full,
        row_number() OVER (ORDER BY user_id DESC) AS place,
        count(*) OVER () AS user_count
    FROM (
        SELECT DISTINCT user_id
        FROM page
    ) AS users
),

reach AS MATERIALIZED (
    SELECT
        user_id,
        is_full AND user_count = 1 AS is_cut
    FROM last_users
    WHERE place = CASE WHEN is_full AND user_count > 1 THEN 2 ELSE 1 END
),

repeats AS MATERIALIZED (
    SELECT unnest(consumer.pruned_repeats(ARRAY(SELECT p.seq FROM page AS p))) AS seq
),

delivered AS MATERIALIZED (
    SELECT
        o.seq,
        o.user_id,
        o.team_id,
        o.event_type,
        o.source,
        o.occurred_at,
        o.received_at,
        consumer.version(o.source, o.occurred_at, o.message_id) AS version,
        split_part(o.message_id, ':', 2) AS answers,
        CASE
            WHEN o.event_type NOT IN ('user.deleted', 'team_membership.created', 'team_membership.deleted')
                THEN convert_from(coalesce(o.reduced, o.body), 'UTF8')::jsonb -> 'data'
        END AS data
    FROM page AS p
    INNER JOIN reach AS r ON p.user_id <= r.user_id
    INNER JOIN consumer.outbox AS o ON p.seq = o.seq
    INNER JOIN consumer.outcomes AS d ON o.seq = d.seq AND d.outcome IN ('applied', 'unchanged', 'stale')
),

done AS MATERIALIZED (
    SELECT
        d.*,
        -- Only a snapshot's fields are facts; the other fields of a bare sign-in were never checked.
        CASE
            WHEN
                d.event_type IN ('user.created', 'user.updated')
                OR (d.event_type IN ('user.signed_in', 'user.signed_out') AND d.data ? 'primary_email')
                THEN d.data
        END AS snapshot
    FROM delivered AS d
    WHERE
        d.received_at < %(until)b::timestamptz
        AND NOT EXISTS (
            SELECT FROM repeats AS r
            WHERE r.seq = d.seq
        )
),

read AS (
    SELECT
        d.*,
        d.snapshot IS NOT NULL AS is_snapshot,
        (d.snapshot IS NOT NULL AND NOT coalesce((d.snapshot ->> 'is_anonymous')::boolean, FALSE)) AS is_known,
        consumer.instant(d.snapshot ->> 'last_active_at_millis') AS last_active_at,
        CASE WHEN d.source <> 'app' THEN (d.snapshot #>> '{selected_team,id}')::uuid END AS selected_id
    FROM done AS d
),

told AS (
    SELECT
        d.user_id,
        d.seq,
        f.kind,
        f.place,
        f.weight,
        d.version
    FROM read AS d
    CROSS JOIN LATERAL (
        -- The newest snapshot of each rank.
        SELECT
            'snapshot' AS kind,
            (d.source = 'app')::text AS place,
            0::numeric AS weight
        WHERE d.is_snapshot
        UNION ALL
        -- One that was not anonymous.
        SELECT
            'known',
            '',
            0
        WHERE d.is_known
        UNION ALL
        -- The latest time of each kind.
        SELECT
            'active',
            '',
            extract(EPOCH FROM d.last_active_at)
        WHERE d.last_active_at IS NOT NULL
        UNION ALL
        SELECT
            'signed_in',
            '',
            extract(EPOCH FROM coalesce(consumer.instant(d.data ->> 'signed_in_at_millis'), d.occurred_at))
        WHERE d.event_type = 'user.signed_in'
        UNION ALL
        SELECT
            'signed_out',
            '',
            extract(EPOCH FROM coalesce(consumer.instant(d.data ->> 'signed_out_at_millis'), d.occurred_at))
        WHERE d.event_type = 'user.signed_out'
        UNION ALL
        -- The oldest deletion that was told, the latest that reconcile found, the newest sign of life.
        SELECT
            'deletion',
            '',
            -extract(EPOCH FROM d.occurred_at)
        WHERE d.event_type = 'user.deleted' AND d.source <> 'reconcile'
        UNION ALL
        SELECT
            'missing',
            '',
            extract(EPOCH FROM d.occurred_at)
        WHERE d.event_type = 'user.deleted' AND d.source = 'reconcile'
        UNION ALL
        SELECT
            'seen',
            '',
            extract(EPOCH FROM d.occurred_at)
        WHERE d.is_snapshot AND (d.source = 'stack' OR (d.source = 'reconcile' AND d.answers = 'user'))
        UNION ALL
        -- Of each membership: the first join, the last explicit one, the last removal.
        SELECT
            'first_join',
            coalesce(d.selected_id, d.team_id)::text,
            -extract(EPOCH FROM d.occurred_at)
        WHERE d.event_type = 'team_membership.created' OR d.selected_id IS NOT NULL
        UNION ALL
        SELECT
            'join',
            d.team_id::text,
            0
        WHERE d.event_type = 'team_membership.created'
        UNION ALL
        SELECT
            'removal',
            d.team_id::text,
            0
        WHERE d.event_type = 'team_membership.deleted'
        UNION ALL
        -- The newest snapshot that names the team as selected: the newest of all users is among these.
        SELECT
            'selected',
            d.selected_id::text,
            0
        WHERE d.selected_id IS NOT NULL
        UNION ALL
        -- The newest edit of each field, and the newest event of each permission.
        SELECT
            'edit',
            e.field,
            0
        FROM unnest(ARRAY['company_id', 'department', 'role_type']) AS e (field)
        WHERE d.event_type = 'profile.edited' AND d.data ? e.field
        UNION ALL
        -- An edit of no field shows that there is such a user, and nothing else may.
        SELECT
            'edit',
            '',
            0
        WHERE d.event_type = 'profile.edited' AND NOT d.data ?| ARRAY['company_id', 'department', 'role_type']
        UNION ALL
        SELECT
            'permission',
            d.team_id::text || ' ' || (d.data ->> 'id'),
            0
        WHERE d.event_type IN ('team_permission.created', 'team_permission.deleted')
    ) AS f
),

holders AS MATERIALIZED (
    SELECT DISTINCT ON (t.user_id, t.kind, t.place) t.seq
    FROM told AS t
    ORDER BY t.user_id ASC, t.kind ASC, t.place ASC, t.weight DESC, t.version COLLATE "C" DESC
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
    (SELECT h.user_id FROM reach AS h) AS last_id,
    coalesce((SELECT h.is_cut FROM reach AS h), FALSE) AS is_cut
FROM removable AS r;
