-- The server and the database that a database is: elsewhere it is a copy, which must not act.
-- depends: 0012.maintenance

-- A release before works as it did; it does not know a copy.
SELECT consumer.pause_work();
INSERT INTO consumer.fence (migration, oldest_release) VALUES (13, 10);

CREATE TABLE consumer.origin (
    id boolean PRIMARY KEY DEFAULT TRUE CONSTRAINT origin_is_one_row CHECK (id),
    -- The server's system identifier; where it can't be read the name and oid of a table, which a restore changes.
    server text NOT NULL,
    database_oid bigint NOT NULL,
    database_name text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
);

GRANT SELECT ON consumer.origin TO consumer_operator;
