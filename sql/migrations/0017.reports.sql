-- What processes report of themselves, and how many deliveries came in each hour.
-- depends: 0016.reread

-- A worker of the release before writes the same rows.
SELECT consumer.pause_work();
INSERT INTO consumer.fence (migration, oldest_release) VALUES (17, 10);

-- Each process inserts a row regularly: its heartbeat, and what it counted since its report before. The rows of some
-- hours are kept.
CREATE TABLE consumer.reports (
    at timestamptz NOT NULL DEFAULT now(),
    process_id uuid NOT NULL, -- another one after each start
    duty text NOT NULL DEFAULT 'receiver'
    CONSTRAINT reports_duty CHECK (duty IN ('receiver', 'worker', 'maintenance', 'console')),
    host text NOT NULL CONSTRAINT reports_host CHECK (length(host) <= 255),
    pid integer NOT NULL,
    release text NOT NULL CONSTRAINT reports_release CHECK (length(release) <= 100),
    -- Its clock minus the database's; the limit excludes infinity, which no reader could show.
    clock_skew_seconds double precision NOT NULL
    CONSTRAINT reports_clock_skew_seconds CHECK (abs(clock_skew_seconds) <= 1e10),
    -- When its next report is due; null: it has ended. A later one would count as alive without an end.
    next_at timestamptz CONSTRAINT reports_next_at CHECK (next_at - at <= interval '1 day'),
    -- Whose deliveries it takes: a receiver has a secret of each.
    sources text[] NOT NULL DEFAULT '{}' CONSTRAINT reports_sources CHECK (sources <@ '{stack,app}'),
    paused_by text CONSTRAINT reports_paused_by CHECK (length(paused_by) <= 1000), -- why it can't work; null: it works
    -- By metric and label values, and by metric for each bucket; what did not rise is absent. Readers add them all up,
    -- so that one which is no count would break every reader.
    counters jsonb NOT NULL DEFAULT '{}' CONSTRAINT reports_counters CHECK (
        NOT jsonb_path_exists(
            counters, 'strict $.* ? (@.type() != "number" || @ < 0 || @ > 1000000000000 || @ != @.floor())'
        )
    ),
    histograms jsonb NOT NULL DEFAULT '{}' CONSTRAINT reports_histograms CHECK (
        NOT jsonb_path_exists(
            histograms, 'strict $.*[*] ? (@.type() != "number" || @ < 0 || @ > 1000000000000 || @ != @.floor())'
        )
    ),
    findings jsonb, -- what it has told as open; null: it tells nobody
    PRIMARY KEY (at, process_id) -- observe/… and reports/remove read by time
);

-- Deliveries by the hour of their arrival, in UTC. A delivery that prune removed before it was counted is missing.
CREATE TABLE consumer.hours (
    source text NOT NULL,
    hour timestamptz NOT NULL,
    n bigint NOT NULL CONSTRAINT hours_n CHECK (n > 0),
    PRIMARY KEY (source, hour)
);

-- Where the job goes on; null: it keeps no place.
ALTER TABLE consumer.maintenance ADD COLUMN place jsonb;

GRANT INSERT (
    process_id,
    host,
    pid,
    release,
    clock_skew_seconds,
    next_at,
    sources,
    paused_by,
    counters,
    histograms
) ON consumer.reports TO consumer_receiver, consumer_worker, consumer_operator;
-- A receiver that a stranger has taken over must not pass for a worker, or nobody hears that none works. It must not
-- mute the notifications either.
GRANT INSERT (duty) ON consumer.reports TO consumer_worker, consumer_operator;
GRANT INSERT (findings) ON consumer.reports TO consumer_operator;
GRANT SELECT, DELETE ON consumer.reports TO consumer_operator;
GRANT SELECT, INSERT, UPDATE ON consumer.hours TO consumer_operator;
-- The worker's metrics name the findings.
GRANT SELECT ON consumer.reports, consumer.hours, consumer.maintenance, consumer.origin TO consumer_worker;
