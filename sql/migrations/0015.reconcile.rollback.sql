SELECT consumer.pause_work();
DELETE FROM consumer.fence
WHERE migration = 15;

CREATE OR REPLACE VIEW identity.profiles_needing_sync WITH (security_invoker = TRUE) AS
SELECT
    p.user_id,
    p.full_name,
    p.company_id,
    c.name AS company_name,
    p.updated_at AS profile_updated_at,
    m.last_synced_at,
    (extract(EPOCH FROM now() - m.occurred_at) / 3600)::double precision AS hours_since_sync
FROM identity.profiles AS p
LEFT JOIN identity.companies AS c ON p.company_id = c.id
LEFT JOIN identity.stack_user_profiles AS m ON p.user_id = m.stack_user_id AND m.version >= '1'
WHERE
    p.deleted_at IS NULL
    AND (
        m.stack_user_id IS NULL
        OR (m.occurred_at < now() - interval '24 hours' AND (SELECT identity.has_api_key()))
    );

DROP FUNCTION identity.unconfirmed_users, identity.last_scan_at;
REVOKE SELECT (id, begun_at, finished_at) ON consumer.runs FROM consumer_definer;
DROP TABLE consumer.run_repairs, consumer.suspects;
