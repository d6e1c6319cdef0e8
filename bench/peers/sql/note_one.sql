-- Note an event that is applied; not idempotent, so that a repeat shows.
INSERT INTO bench.applied (event) VALUES ($1);
