-- Recovery: rows are made anew from the stored deliveries, deletions that reconcile found may be lifted, users erased.
-- depends: 0007.audit_retention

-- No older release may work: it would store deletions without the facts that they follow from.
SELECT consumer.pause_work();
INSERT INTO consumer.fence (migration, oldest_release) VALUES (8, 8);

-- Users and companies whose rows workers make anew, page by page. First the companies with events of their own, then
-- the users, then the companies that only a selected team names: their facts are those of users. A row is there once,
-- however often it is asked for.
CREATE TABLE consumer.rebuild (
    stage smallint NOT NULL CONSTRAINT rebuild_stage CHECK (stage BETWEEN 1 AND 3),
    id uuid NOT NULL, -- of the company in stages 1 and 3, of the user in stage 2
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    error text, -- why the last attempt failed
    PRIMARY KEY (stage, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000); -- as consumer.pending: rows go
GRANT SELECT, INSERT, DELETE, UPDATE (attempts, due_at, error) ON consumer.rebuild TO consumer_worker;
GRANT SELECT, INSERT, UPDATE (attempts, due_at, error) ON consumer.rebuild TO consumer_operator;

-- What a rebuild begins with: nothing is known of these users or companies.
GRANT DELETE ON consumer.memberships, consumer.team_permissions TO consumer_worker;
GRANT DELETE ON identity.companies, identity.stack_user_profiles TO consumer_worker;

-- When somebody or a company was deleted: the oldest deletion that was told, or the latest that reconcile found, unless
-- something newer shows that it was wrong. Null: not deleted.
CREATE FUNCTION consumer.tombstone(deletion_at timestamptz, missing_at timestamptz, seen_at timestamptz)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN least(deletion_at, CASE WHEN missing_at > coalesce(seen_at, '-infinity') THEN missing_at END);
REVOKE EXECUTE ON FUNCTION consumer.tombstone FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consumer.tombstone TO consumer_worker, consumer_operator;

-- Exclusions that were taken back, with the reason. A delivery may have several.
CREATE TABLE consumer.past_exclusions (
    seq bigint NOT NULL,
    excluded_by text NOT NULL,
    reason text NOT NULL,
    excluded_at timestamptz NOT NULL,
    taken_back_by text NOT NULL,
    taken_back_reason text NOT NULL,
    taken_back_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (seq, taken_back_at)
);
GRANT SELECT, INSERT ON consumer.past_exclusions TO consumer_operator;
GRANT DELETE ON consumer.exclusions TO consumer_operator;

-- A number below that of every delivery received since then, and near it. Numbers rise with the time of arrival, except
-- in transactions that had begun earlier, and where the clock went back: so each probe looks at a hundred deliveries,
-- and the answer is five minutes early. Once deliveries are removed (prune), new ones fill the gaps in the heap, and a
-- BRIN index on the time reads all of it.
CREATE FUNCTION consumer.seq_before(since timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    low bigint;
    high bigint;
    middle bigint;
    latest timestamptz;
BEGIN
    SELECT coalesce(min(o.seq) - 1, 0), coalesce(max(o.seq), 0) INTO low, high FROM consumer.outbox AS o;
    WHILE low + 1 < high LOOP
        middle := (low + high) / 2;
        SELECT max(n.received_at) INTO latest
        FROM (
            SELECT o.received_at FROM consumer.outbox AS o
            WHERE o.seq >= middle
            ORDER BY o.seq
            LIMIT 100
        ) AS n;
        IF latest < since - interval '5 minutes' THEN
            low := middle;
        ELSE
            high := middle;
        END IF;
    END LOOP;
    RETURN low;
END
$$;
REVOKE EXECUTE ON FUNCTION consumer.seq_before FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consumer.seq_before TO consumer_worker, consumer_operator;

CREATE OR REPLACE VIEW consumer.queue_stats WITH (security_invoker = TRUE) AS
SELECT
    (SELECT count(*) FROM consumer.pending)
    + (SELECT count(*) FROM consumer.rehome)
    + (SELECT count(*) FROM consumer.rebuild) AS pending,
    (
        SELECT count(*) FROM consumer.failures
        WHERE state = 'retrying'
    ) AS retrying,
    (
        SELECT count(*) FROM consumer.failures
        WHERE state = 'dead'
    ) AS dead,
    (SELECT count(*) FROM consumer.outcomes) AS done,
    coalesce(extract(EPOCH FROM now() - least(
        (
            SELECT o.received_at FROM consumer.outbox AS o
            WHERE o.seq = (SELECT min(p.seq) FROM consumer.pending AS p)
        ),
        (
            SELECT min(f.next_attempt_at) FROM consumer.failures AS f
            WHERE f.state = 'retrying' AND f.next_attempt_at <= now()
        ),
        (
            SELECT min(r.due_at) FROM consumer.rehome AS r
            WHERE r.due_at <= now()
        )
    ))::double precision, 0) AS oldest_due_seconds,
    (
        SELECT count(*) FROM consumer.outbox
        WHERE
            seq > consumer.seq_before(now() - interval '1 minute')
            AND received_at > now() - interval '1 minute'
    ) AS received_last_minute,
    (
        SELECT count(*) FROM consumer.outcomes
        WHERE at > now() - interval '1 minute' AND outcome IN ('applied', 'unchanged', 'stale', 'ignored')
    ) AS applied_last_minute;

-- step: identity
-- The facts that deleted_at follows from.
ALTER TABLE identity.stack_user_profiles
ADD COLUMN deletion_at timestamptz, -- the oldest deletion or erasure that was told
ADD COLUMN missing_at timestamptz, -- the latest deletion that reconcile found
ADD COLUMN seen_at timestamptz, -- the newest fact that shows the user alive: a webhook's snapshot, an answer of the API
ADD COLUMN is_erased boolean NOT NULL DEFAULT FALSE, -- forgotten as under `hard`, whatever the delete policy
ADD COLUMN is_removed boolean NOT NULL DEFAULT FALSE; -- was forgotten under `hard`: has no profile and no membership
ALTER TABLE identity.companies
ADD COLUMN deletion_at timestamptz,
ADD COLUMN missing_at timestamptz,
ADD COLUMN seen_at timestamptz;

-- Whether the offered row brings content, existence or a deletion that the known one has not.
CREATE OR REPLACE FUNCTION identity.is_news(
    offered identity.stack_user_profiles, known identity.stack_user_profiles
) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (offered).has_profile > (known).has_profile
OR (offered).is_erased > (known).is_erased
OR consumer.tombstone(
    least((offered).deletion_at, (known).deletion_at),
    greatest((offered).missing_at, (known).missing_at),
    greatest((offered).seen_at, (known).seen_at)
) IS DISTINCT FROM (known).deleted_at
OR (
    (offered).version > (known).version
    AND NOT (known).is_forgotten
    AND (
        (offered).stack_display_name IS DISTINCT FROM (known).stack_display_name
        OR (offered).stack_primary_email IS DISTINCT FROM (known).stack_primary_email
        OR (offered).stack_primary_email_verified IS DISTINCT FROM (known).stack_primary_email_verified
        OR (offered).stack_profile_image_url IS DISTINCT FROM (known).stack_profile_image_url
        OR (offered).stack_metadata IS DISTINCT FROM (known).stack_metadata
        OR (offered).is_anonymous IS DISTINCT FROM (known).is_anonymous
        OR (offered).is_restricted IS DISTINCT FROM (known).is_restricted
        OR (offered).signed_up_at IS DISTINCT FROM (known).signed_up_at
        OR (offered).source_role IS DISTINCT FROM (known).source_role
        OR (offered).source_department IS DISTINCT FROM (known).source_department
        OR (offered).source_company_id IS DISTINCT FROM (known).source_company_id
    )
);
-- Whether the offered row moves a version or a time, without news.
CREATE OR REPLACE FUNCTION identity.is_newer(
    offered identity.stack_user_profiles, known identity.stack_user_profiles
) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (offered).version > (known).version
OR least((offered).deletion_at, (known).deletion_at) IS DISTINCT FROM (known).deletion_at
OR greatest((offered).missing_at, (known).missing_at) IS DISTINCT FROM (known).missing_at
OR greatest((offered).seen_at, (known).seen_at) IS DISTINCT FROM (known).seen_at
OR (
    NOT (known).is_forgotten
    AND (
        greatest((offered).last_active_at, (known).last_active_at) IS DISTINCT FROM (known).last_active_at
        OR greatest((offered).last_sign_in_at, (known).last_sign_in_at) IS DISTINCT FROM (known).last_sign_in_at
        OR greatest((offered).last_sign_out_at, (known).last_sign_out_at) IS DISTINCT FROM (known).last_sign_out_at
    )
);

-- step: pages as consumer_worker
-- The deletions that are known. Of a user that was forgotten under `hard` no profile is left.
SELECT max(m.stack_user_id::text COLLATE "C") AS last
FROM (
    SELECT stack_user_id
    FROM identity.stack_user_profiles
    WHERE deleted_at IS NOT NULL AND (%(after)s::uuid IS NULL OR stack_user_id > %(after)s::uuid)
    ORDER BY stack_user_id
    LIMIT 1000
    FOR NO KEY UPDATE
) AS m;
UPDATE identity.stack_user_profiles AS m
SET
    deletion_at = m.deleted_at,
    is_removed = (
        m.is_forgotten
        AND m.has_profile
        AND NOT EXISTS (
            SELECT FROM identity.profiles AS p
            WHERE p.user_id = m.stack_user_id
        )
    )
WHERE
    m.deleted_at IS NOT NULL
    AND (%(after)s::uuid IS NULL OR m.stack_user_id > %(after)s::uuid)
    AND m.stack_user_id <= %(last)s::uuid;

-- step: pages as consumer_worker
SELECT max(c.id::text COLLATE "C") AS last
FROM (
    SELECT id
    FROM identity.companies
    WHERE deleted_at IS NOT NULL AND (%(after)s::uuid IS NULL OR id > %(after)s::uuid)
    ORDER BY id
    LIMIT 1000
    FOR NO KEY UPDATE
) AS c;
UPDATE identity.companies
SET deletion_at = deleted_at
WHERE
    deleted_at IS NOT NULL
    AND (%(after)s::uuid IS NULL OR id > %(after)s::uuid)
    AND id <= %(last)s::uuid;
