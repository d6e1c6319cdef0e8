-- What a support engineer asks is found by an index, and failures know the source and type of their deliveries.
-- depends: 0018.masked

-- A worker of the release before writes failures without source and type: their readers then ask the outbox.
SELECT consumer.pause_work();
INSERT INTO consumer.fence (migration, oldest_release) VALUES (19, 10);

-- step: intake
-- Errors are grouped without reading a delivery.
ALTER TABLE consumer.failures
ADD COLUMN source text, -- null: not known yet, as of a worker of the release before
ADD COLUMN event_type text; -- null too if the body names none
GRANT INSERT (source, event_type) ON consumer.failures TO consumer_receiver;

-- The schema's owner may drop the masker's views, but not replace them.
DROP VIEW consumer_masked.failures;
CREATE VIEW consumer_masked.failures AS
SELECT
    f.seq,
    f.state,
    f.attempts,
    f.next_attempt_at,
    f.error_code,
    f.error,
    f.failed_at,
    coalesce(
        f.source,
        (
            SELECT o.source FROM consumer.outbox AS o
            WHERE o.seq = f.seq
        )
    ) AS source,
    CASE
        WHEN f.source IS NOT NULL THEN f.event_type
        ELSE (
            SELECT o.event_type FROM consumer.outbox AS o
            WHERE o.seq = f.seq
        )
    END AS event_type
FROM consumer.failures AS f;
-- The digits of verified_by tell which secret signed, and nothing of the secret.
DROP VIEW consumer_masked.outbox;
CREATE VIEW consumer_masked.outbox AS
SELECT
    o.seq,
    o.source,
    o.message_id,
    o.event_type,
    o.user_id,
    o.team_id,
    o.occurred_at,
    o.received_at,
    o.verified_by
FROM consumer.outbox AS o;
GRANT SELECT (verified_by) ON consumer.outbox TO consumer_masker;
GRANT SELECT ON consumer_masked.failures, consumer_masked.outbox TO consumer_viewer, consumer_operator;
GRANT CREATE ON SCHEMA consumer_masked TO consumer_masker;
ALTER VIEW consumer_masked.failures OWNER TO consumer_masker;
ALTER VIEW consumer_masked.outbox OWNER TO consumer_masker;
REVOKE CREATE ON SCHEMA consumer_masked FROM consumer_masker;

-- step: pages as consumer_operator
-- The failures that are there.
SELECT max(f.seq)::text AS last
FROM (
    SELECT seq
    FROM consumer.failures
    WHERE seq > coalesce(%(after)s::bigint, 0)
    ORDER BY seq
    LIMIT 1000
) AS f;
UPDATE consumer.failures AS f
SET source = o.source, event_type = o.event_type
FROM consumer.outbox AS o
WHERE
    f.seq = o.seq
    AND f.source IS NULL
    AND f.seq > coalesce(%(after)s::bigint, 0)
    AND f.seq <= %(last)s::bigint;

-- step: concurrently
-- What one delivery changed. The numbers of a batch are close together, so it writes few pages of the index.
CREATE INDEX CONCURRENTLY profile_audit_seq ON identity.profile_audit (seq);

-- step: concurrently
-- How many died lately, and when the last one did: the verdict asks it every few seconds, also beside 100,000 dead.
CREATE INDEX CONCURRENTLY failures_dead ON consumer.failures (failed_at) WHERE state = 'dead';
