-- The project at Stack whose webhooks and users this database holds, and the endpoint that brings its webhooks.
-- depends: 0013.origin

SELECT consumer.pause_work();
INSERT INTO consumer.fence (migration, oldest_release) VALUES (14, 10);

-- Bodies name no project, so two would mix: the first project that stored anything by the API stays.
CREATE TABLE consumer.project (
    id boolean PRIMARY KEY DEFAULT TRUE CONSTRAINT project_is_one_row CHECK (id),
    project_id text NOT NULL CONSTRAINT project_id CHECK (project_id <> ''),
    pinned_at timestamptz NOT NULL DEFAULT now(),
    endpoint_url text -- as `consumer connect` found it at Svix; null: it has not run
);

GRANT SELECT, INSERT, UPDATE (endpoint_url) ON consumer.project TO consumer_operator;
