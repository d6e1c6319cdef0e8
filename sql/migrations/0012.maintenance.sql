-- Maintenance: what each job did last and when it is due, and how far the poll of recent activity is.
-- depends: 0011.runs

-- A worker of the release before writes the same rows.
SELECT consumer.pause_work();
INSERT INTO consumer.fence (migration, oldest_release) VALUES (12, 10);

-- The last run of each job. It began and has not ended, or was killed, where started_at is after ended_at.
CREATE TABLE consumer.maintenance (
    job text PRIMARY KEY CONSTRAINT maintenance_job CHECK (job <> ''),
    started_at timestamptz NOT NULL,
    ended_at timestamptz, -- null: it has never ended
    due_at timestamptz NOT NULL, -- before it nobody begins the job
    counts jsonb NOT NULL DEFAULT '{}', -- what it did when it ended last, as numbers by name
    remark text CONSTRAINT maintenance_remark CHECK (length(remark) <= 1000), -- what it could not do, without a failure
    error text CONSTRAINT maintenance_error CHECK (length(error) <= 1000) -- why it failed; null: it did not
);

-- The poll of recent activity lists users, the last active first, until it meets those of the poll before: a sweep.
-- Times are milliseconds of Stack's clock.
CREATE TABLE consumer.activity (
    id boolean PRIMARY KEY DEFAULT TRUE CONSTRAINT activity_is_one_row CHECK (id),
    mark_millis bigint, -- who was active until then is stored, as far as replicas knew; null: no sweep has ended
    sweep_id uuid NOT NULL,
    cursor text, -- where its next page begins; null: at the first page
    cursor_millis bigint, -- when the cursor's user was active, as it was listed
    newest_millis bigint -- the latest activity on the first page; null: at the first page
);

GRANT SELECT, INSERT, UPDATE ON consumer.maintenance, consumer.activity TO consumer_operator;
