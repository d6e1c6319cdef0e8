CREATE OR REPLACE VIEW consumer.queue_stats WITH (security_invoker = TRUE) AS
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
DROP INDEX identity.stack_user_profiles_company_id, identity.stack_user_profiles_source_company_id;
DROP TABLE identity.company_members, consumer.rehome, consumer.team_permissions, consumer.memberships;
ALTER TABLE identity.companies DROP COLUMN version;
DROP FUNCTION consumer.company_stripe, consumer.metadata_id;
