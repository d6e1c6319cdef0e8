-- Actions that the console does in the background, page by page.
-- depends: 0019.support_indexes

-- The release before does not know the table.
SELECT consumer.pause_work();
INSERT INTO consumer.fence (migration, oldest_release) VALUES (20, 10);

-- The progress of an action; consumer.actions says what it is. Each of its transactions moves the place on.
CREATE TABLE consumer.background (
    id uuid PRIMARY KEY, -- the action's
    begun_at timestamptz NOT NULL DEFAULT now(),
    stepped_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz, -- null: it goes on
    place jsonb NOT NULL DEFAULT '{}', -- where it goes on
    result jsonb NOT NULL DEFAULT '{}', -- counts and ids, no personal data
    -- why it ended early, or waits; null: it did not
    error text CONSTRAINT background_error CHECK (length(error) <= 1000)
);
-- The next one to go on with.
CREATE INDEX background_unfinished ON consumer.background (stepped_at) WHERE finished_at IS NULL;
-- A page of them: the unfinished ones, then those finished last.
CREATE INDEX background_newest ON consumer.background (coalesce(finished_at, 'infinity'), begun_at, id);
GRANT SELECT, INSERT, UPDATE (stepped_at, finished_at, place, result, error) ON consumer.background
TO consumer_operator;

CREATE VIEW consumer_masked.background AS
SELECT
    b.id,
    b.begun_at,
    b.stepped_at,
    b.finished_at,
    b.place,
    b.result,
    b.error
FROM consumer.background AS b;
GRANT SELECT ON consumer.background TO consumer_masker;
GRANT SELECT ON consumer_masked.background TO consumer_viewer, consumer_operator;
GRANT CREATE ON SCHEMA consumer_masked TO consumer_masker;
ALTER VIEW consumer_masked.background OWNER TO consumer_masker;
REVOKE CREATE ON SCHEMA consumer_masked FROM consumer_masker;
