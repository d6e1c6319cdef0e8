SELECT consumer.pause_work();
DELETE FROM consumer.fence
WHERE migration = 19;

DROP INDEX identity.profile_audit_seq;
DROP INDEX consumer.failures_dead;
DROP VIEW consumer_masked.failures;
CREATE VIEW consumer_masked.failures AS
SELECT
    f.seq,
    f.state,
    f.attempts,
    f.next_attempt_at,
    f.error_code,
    f.error,
    f.failed_at
FROM consumer.failures AS f;
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
    o.received_at
FROM consumer.outbox AS o;
REVOKE SELECT (verified_by) ON consumer.outbox FROM consumer_masker;
GRANT SELECT ON consumer_masked.failures, consumer_masked.outbox TO consumer_viewer, consumer_operator;
GRANT CREATE ON SCHEMA consumer_masked TO consumer_masker;
ALTER VIEW consumer_masked.failures OWNER TO consumer_masker;
ALTER VIEW consumer_masked.outbox OWNER TO consumer_masker;
REVOKE CREATE ON SCHEMA consumer_masked FROM consumer_masker;
ALTER TABLE consumer.failures
DROP COLUMN source,
DROP COLUMN event_type;
