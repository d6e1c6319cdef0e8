-- Runs over Stack's REST API: which page comes next, so that a killed one goes on and several processes share one.
-- depends: 0010.prune

-- A worker of the release before writes the same rows, and says `created` where this one says `imported`.
SELECT consumer.pause_work();
INSERT INTO consumer.fence (migration, oldest_release) VALUES (11, 10);

CREATE TABLE consumer.runs (
    id uuid PRIMARY KEY,
    kind text NOT NULL CONSTRAINT runs_kind CHECK (kind IN ('backfill', 'reconcile')),
    project_id text NOT NULL CONSTRAINT runs_project_id CHECK (project_id <> ''),
    stage text NOT NULL CONSTRAINT runs_stage CHECK (stage IN ('users', 'teams', 'members')),
    restarts integer NOT NULL DEFAULT 0, -- how often a list began anew, because its cursor was lost
    cursor text, -- where the next page begins: Stack's own, or the last team that is done; null: the first page
    cursor_millis bigint, -- when the cursor's user signed up, as it was listed; null: it was not listed with the cursor
    newest_millis bigint, -- the latest sign-up that was listed so far; null: none was
    listed_at timestamptz, -- when the page was asked for that named the cursor, or lost it; null: the first scan begins
    users bigint NOT NULL DEFAULT 0, -- listed so far, as are the next three
    teams bigint NOT NULL DEFAULT 0,
    memberships bigint NOT NULL DEFAULT 0,
    permissions bigint NOT NULL DEFAULT 0,
    stored bigint NOT NULL DEFAULT 0, -- new deliveries: the others bring nothing new
    unusable bigint NOT NULL DEFAULT 0, -- of the stored ones: dead
    calls bigint NOT NULL DEFAULT 0, -- requests for the pages that were stored
    begun_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz, -- null: not complete
    abandoned_at timestamptz, -- another run was begun in its place
    CONSTRAINT runs_end CHECK (finished_at IS NULL OR abandoned_at IS NULL)
);
-- runs/begin: one run of a kind at a time.
CREATE UNIQUE INDEX runs_open ON consumer.runs (kind) WHERE finished_at IS NULL AND abandoned_at IS NULL;

-- Teams that a run has listed and whose members it has not stored yet.
CREATE TABLE consumer.run_teams (
    run_id uuid NOT NULL,
    team_id uuid NOT NULL,
    PRIMARY KEY (run_id, team_id)
);

GRANT SELECT, INSERT, UPDATE ON consumer.runs TO consumer_operator;
GRANT SELECT, INSERT, DELETE ON consumer.run_teams TO consumer_operator;
