SELECT consumer.pause_work();
DELETE FROM consumer.fence
WHERE migration = 8;

CREATE OR REPLACE FUNCTION identity.is_news(
    offered identity.stack_user_profiles, known identity.stack_user_profiles
) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN
offered.has_profile > known.has_profile
OR least(offered.deleted_at, known.deleted_at) IS DISTINCT FROM known.deleted_at
OR (
    offered.version > known.version
    AND NOT known.is_forgotten
    AND (
        offered.stack_display_name,
        offered.stack_primary_email,
        offered.stack_primary_email_verified,
        offered.stack_profile_image_url,
        offered.stack_metadata,
        offered.is_anonymous,
        offered.is_restricted,
        offered.signed_up_at,
        offered.source_role,
        offered.source_department,
        offered.source_company_id
    ) IS DISTINCT FROM (
        known.stack_display_name,
        known.stack_primary_email,
        known.stack_primary_email_verified,
        known.stack_profile_image_url,
        known.stack_metadata,
        known.is_anonymous,
        known.is_restricted,
        known.signed_up_at,
        known.source_role,
        known.source_department,
        known.source_company_id
    )
);
-- Whether an offered mirror row has a newer version, or later activity of a user that is not forgotten.
CREATE OR REPLACE FUNCTION identity.is_newer(offered identity.stack_user_profiles, known identity.stack_user_profiles)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN
offered.version > known.version
OR (
    NOT known.is_forgotten
    AND row(
        greatest(offered.last_active_at, known.last_active_at),
        greatest(offered.last_sign_in_at, known.last_sign_in_at),
        greatest(offered.last_sign_out_at, known.last_sign_out_at)
    ) IS DISTINCT FROM row(known.last_active_at, known.last_sign_in_at, known.last_sign_out_at)
);
ALTER TABLE identity.companies DROP COLUMN deletion_at, DROP COLUMN missing_at, DROP COLUMN seen_at;
ALTER TABLE identity.stack_user_profiles
DROP COLUMN deletion_at,
DROP COLUMN missing_at,
DROP COLUMN seen_at,
DROP COLUMN is_erased,
DROP COLUMN is_removed;

CREATE OR REPLACE VIEW consumer.queue_stats WITH (security_invoker = TRUE) AS
SELECT
    (SELECT count(*) FROM consumer.pending) + (SELECT count(*) FROM consumer.rehome) AS pending,
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
        ),
        (
            SELECT min(r.due_at) FROM consumer.rehome AS r
            WHERE r.due_at <= now()
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

REVOKE DELETE ON consumer.exclusions FROM consumer_operator;
DROP TABLE consumer.past_exclusions;
DROP FUNCTION consumer.tombstone, consumer.seq_before;
REVOKE DELETE ON consumer.memberships, consumer.team_permissions FROM consumer_worker;
REVOKE DELETE ON identity.companies, identity.stack_user_profiles FROM consumer_worker;
DROP TABLE consumer.rebuild;
