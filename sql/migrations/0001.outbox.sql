-- The outbox with its queue. migrations/make_roles made the roles.
-- depends:

-- The schema exists: the migration ledger lives in it.
REVOKE ALL ON SCHEMA consumer FROM PUBLIC;
GRANT USAGE ON SCHEMA consumer TO consumer_receiver, consumer_worker, consumer_operator;

CREATE TABLE consumer.settings (
    id boolean PRIMARY KEY DEFAULT TRUE CONSTRAINT settings_is_one_row CHECK (id),
    default_company_id uuid, -- null: everyone without another company has none
    default_role text NOT NULL,
    default_department text NOT NULL,
    role_key text NOT NULL,
    department_key text NOT NULL,
    company_key text NOT NULL,
    delete_policy text NOT NULL CONSTRAINT settings_delete_policy CHECK (
        delete_policy IN ('soft', 'anonymise', 'hard')
    ),
    recorded_at timestamptz NOT NULL DEFAULT now()
);

-- The oldest release that may still work on this database: the greatest one that a migration names. A release has the
-- number of its newest migration. Every migration after the first release's names one.
CREATE TABLE consumer.fence (
    migration integer PRIMARY KEY,
    oldest_release integer NOT NULL,
    CONSTRAINT fence_oldest_release CHECK (oldest_release BETWEEN 1 AND migration)
);

-- Keep the settings, the fence and the migrations as they are until the transaction ends; return the latter two.
-- Reading a table locks it until the transaction ends. An advisory lock would not do, because any login could hold it
-- without end. Each statement has a snapshot of its own, so the second one sees what was committed during the wait.
CREATE FUNCTION consumer.begin_work(OUT oldest_release integer, OUT migration_ids text[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM consumer.settings;
    SELECT
        (SELECT coalesce(max(f.oldest_release), 0) FROM consumer.fence AS f),
        ARRAY(SELECT m.migration_id FROM consumer._yoyo_migration AS m)
    INTO oldest_release, migration_ids;
END
$$;

-- Wait for all work that has begun, and let none begin until the transaction ends. Only the owner may do so.
CREATE FUNCTION consumer.pause_work() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    LOCK TABLE consumer.settings IN ACCESS EXCLUSIVE MODE
$$;
REVOKE EXECUTE ON FUNCTION consumer.begin_work, consumer.pause_work FROM PUBLIC;

CREATE TABLE consumer.outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL CONSTRAINT outbox_source CHECK (
        source IN ('stack', 'app', 'backfill', 'reconcile', 'operator')
    ),
    message_id text NOT NULL COLLATE "C" CONSTRAINT outbox_message_id_length CHECK (length(message_id) <= 256),
    event_type text, -- null: the body could not be read
    user_id uuid, -- null: unreadable, or no user is concerned
    team_id uuid, -- null: unreadable, or no team is concerned
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    verified_by text, -- null: put by ourselves
    body bytea NOT NULL,
    reduced bytea, -- the body with null for each part that can't be applied; null: the body is read as it is
    request_id uuid, -- the request that stored it and waits for the result; null: none waits
    CONSTRAINT outbox_message_key UNIQUE (source, message_id),
    -- No later event could win over a time far in the future. Python can't read a time before the year 1, and to_char
    -- drops its era. A stored row stays valid, because the clock moves on.
    CONSTRAINT outbox_occurred_at CHECK (
        occurred_at BETWEEN '1970-01-01 00:00:00+00' AND now() + interval '24 hours'
    )
);
-- deliveries/count and deliveries/page by user; deliveries by team.
CREATE INDEX outbox_user_id ON consumer.outbox (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX outbox_team_id ON consumer.outbox (team_id) WHERE team_id IS NOT NULL;
-- deliveries/last_received of every source except Stack. Stack's rows are most of the log, and an entry for each would
-- cost the intake 0.7 of the 16 µs that PostgreSQL takes for a row.
CREATE INDEX outbox_other_sources ON consumer.outbox (source, received_at) WHERE source <> 'stack';
-- consumer.queue_stats, deliveries/count and deliveries/page by time: rows lie in the order of arrival.
CREATE INDEX outbox_received_at ON consumer.outbox USING brin (received_at) WITH (pages_per_range = 16);

-- Rows come and go at the rate of events: vacuum by count, not by a share of a table that is mostly empty.
CREATE TABLE consumer.pending (
    seq bigint PRIMARY KEY,
    has_failed boolean NOT NULL DEFAULT FALSE -- before it was replayed: another failure is no news
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

CREATE TABLE consumer.failures (
    seq bigint PRIMARY KEY,
    state text NOT NULL CONSTRAINT failures_state CHECK (state IN ('retrying', 'dead')),
    attempts integer NOT NULL CONSTRAINT failures_attempts CHECK (attempts >= 0),
    next_attempt_at timestamptz, -- null: dead
    error_code text NOT NULL,
    error text NOT NULL,
    failed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT failures_due_while_retrying CHECK ((state = 'retrying') = (next_attempt_at IS NOT NULL))
);
-- queue/claim_retries.
CREATE INDEX failures_due ON consumer.failures (next_attempt_at) WHERE state = 'retrying';

CREATE TABLE consumer.outcomes (
    seq bigint PRIMARY KEY,
    outcome text NOT NULL
    CONSTRAINT outcomes_outcome CHECK (outcome IN ('applied', 'unchanged', 'stale', 'ignored', 'discarded')),
    at timestamptz NOT NULL DEFAULT now()
);
-- consumer.queue_stats: rows lie in the order of completion.
CREATE INDEX outcomes_at ON consumer.outcomes USING brin (at) WITH (pages_per_range = 16);

CREATE TABLE consumer.exclusions (
    seq bigint PRIMARY KEY,
    excluded_by text NOT NULL,
    reason text NOT NULL,
    excluded_at timestamptz NOT NULL DEFAULT now()
);

-- A UNION ALL of constant states: a filter on the state prunes the branches, so that a count of pending deliveries
-- needs no scan of the done ones.
CREATE VIEW consumer.deliveries WITH (security_invoker = TRUE) AS
SELECT
    o.seq,
    o.source,
    o.message_id,
    o.event_type,
    o.user_id,
    o.team_id,
    o.occurred_at,
    o.received_at,
    'pending'::text AS state,
    0 AS attempts,
    o.received_at AS next_attempt_at,
    NULL::text AS outcome,
    NULL::text AS error_code,
    NULL::text AS error
FROM consumer.pending AS p
INNER JOIN consumer.outbox AS o ON p.seq = o.seq
UNION ALL
SELECT
    o.seq,
    o.source,
    o.message_id,
    o.event_type,
    o.user_id,
    o.team_id,
    o.occurred_at,
    o.received_at,
    f.state,
    f.attempts,
    f.next_attempt_at,
    NULL::text AS outcome,
    f.error_code,
    f.error
FROM consumer.failures AS f
INNER JOIN consumer.outbox AS o ON f.seq = o.seq
UNION ALL
SELECT
    o.seq,
    o.source,
    o.message_id,
    o.event_type,
    o.user_id,
    o.team_id,
    o.occurred_at,
    o.received_at,
    'done'::text AS state,
    0 AS attempts,
    NULL::timestamptz AS next_attempt_at,
    d.outcome,
    NULL::text AS error_code,
    e.reason AS error
FROM consumer.outcomes AS d
INNER JOIN consumer.outbox AS o ON d.seq = o.seq
LEFT JOIN consumer.exclusions AS e ON d.seq = e.seq;

CREATE VIEW consumer.queue_stats WITH (security_invoker = TRUE) AS
SELECT
    (SELECT count(*) FROM consumer.pending) AS pending,
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
        )
    ))::double precision, 0) AS oldest_due_seconds,
    (
        SELECT count(*) FROM consumer.outbox
        WHERE received_at > now() - interval '1 minute'
    ) AS received_last_minute,
    (
        SELECT count(*) FROM consumer.outcomes
        WHERE at > now() - interval '1 minute' AND outcome IN ('applied', 'unchanged', 'stale', 'ignored')
    ) AS applied_last_minute;

-- By columns: neither the number of a delivery, nor its time of arrival, nor an attempt is anybody's to choose.
GRANT INSERT (
    source, message_id, event_type, user_id, team_id, occurred_at, verified_by, body, reduced, request_id
), SELECT (seq, source, message_id) ON consumer.outbox TO consumer_receiver;
GRANT INSERT (seq) ON consumer.pending TO consumer_receiver;
GRANT INSERT (seq, state, attempts, error_code, error) ON consumer.failures TO consumer_receiver;
GRANT SELECT ON consumer.settings, consumer._yoyo_migration TO consumer_receiver, consumer_worker, consumer_operator;
GRANT SELECT ON consumer.fence TO consumer_worker, consumer_operator;
GRANT EXECUTE ON FUNCTION consumer.begin_work TO consumer_worker, consumer_operator;

GRANT SELECT ON consumer.outbox, consumer.exclusions TO consumer_worker;
-- SELECT FOR UPDATE needs the UPDATE privilege on at least one column.
GRANT SELECT, INSERT, DELETE, UPDATE (seq) ON consumer.pending TO consumer_worker;
GRANT SELECT, INSERT, DELETE, UPDATE (seq) ON consumer.failures TO consumer_worker;
GRANT SELECT, INSERT ON consumer.outcomes TO consumer_worker;
GRANT SELECT ON consumer.deliveries, consumer.queue_stats TO consumer_worker;

GRANT INSERT (
    source, message_id, event_type, user_id, team_id, occurred_at, verified_by, body, reduced, request_id
), SELECT ON consumer.outbox TO consumer_operator;
GRANT SELECT, INSERT ON consumer.exclusions TO consumer_operator;
GRANT SELECT, INSERT, DELETE, UPDATE ON consumer.pending, consumer.failures, consumer.outcomes TO consumer_operator;
GRANT SELECT ON consumer.deliveries, consumer.queue_stats TO consumer_operator;

-- A receiver stores only what a secret has verified, the definer only what the application reports.
ALTER TABLE consumer.outbox ENABLE ROW LEVEL SECURITY;
CREATE POLICY receiver ON consumer.outbox FOR INSERT TO consumer_receiver
WITH CHECK (source IN ('stack', 'app') AND verified_by IS NOT NULL);
CREATE POLICY receiver_reads ON consumer.outbox FOR SELECT TO consumer_receiver USING (TRUE);
CREATE POLICY worker ON consumer.outbox FOR SELECT TO consumer_worker USING (TRUE);
CREATE POLICY operator ON consumer.outbox TO consumer_operator USING (TRUE);
CREATE POLICY definer ON consumer.outbox FOR INSERT TO consumer_definer WITH CHECK (source = 'app');
CREATE POLICY definer_reads ON consumer.outbox FOR SELECT TO consumer_definer USING (TRUE);
CREATE POLICY definer_rereads ON consumer.outbox FOR UPDATE TO consumer_definer USING (TRUE);

-- Whether the running transaction has stored a delivery: nobody chooses the time of arrival. It is volatile, so that it
-- sees what the calling statement stores.
CREATE FUNCTION consumer.is_stored_now(seq bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT FROM consumer.outbox AS o WHERE o.seq = is_stored_now.seq AND o.received_at = now());
END
$$;
REVOKE EXECUTE ON FUNCTION consumer.is_stored_now FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consumer.is_stored_now TO consumer_receiver;
GRANT USAGE ON SCHEMA consumer TO consumer_definer;
GRANT SELECT (seq, received_at) ON consumer.outbox TO consumer_definer;
-- The new owner must be able to create in the schema at the moment it becomes the owner, and only then.
GRANT CREATE ON SCHEMA consumer TO consumer_definer;
ALTER FUNCTION consumer.is_stored_now OWNER TO consumer_definer;
REVOKE CREATE ON SCHEMA consumer FROM consumer_definer;

-- A receiver marks only its own delivery as dead. Which pending ones are new is for queue/claim to see: asked for each,
-- the function would cost the intake half of what PostgreSQL needs for a row.
ALTER TABLE consumer.failures ENABLE ROW LEVEL SECURITY;
CREATE POLICY receiver ON consumer.failures FOR INSERT TO consumer_receiver WITH CHECK (consumer.is_stored_now(seq));
CREATE POLICY worker ON consumer.failures TO consumer_worker USING (TRUE);
CREATE POLICY operator ON consumer.failures TO consumer_operator USING (TRUE);
CREATE POLICY definer ON consumer.failures FOR SELECT TO consumer_definer USING (TRUE);
