-- Reconciliation: what the rows hold and Stack does not list, until it is decided; and which users a scan confirmed.
-- depends: 0014.project

-- A worker of the release before writes the same rows.
SELECT consumer.pause_work();
INSERT INTO consumer.fence (migration, oldest_release) VALUES (15, 10);

-- Where the rows of a run's beginning and Stack's answers disagree. Each living user and company is a suspect until it
-- is listed. What is left after the run was listed nowhere.
CREATE TABLE consumer.suspects (
    run_id uuid NOT NULL,
    kind text NOT NULL CONSTRAINT suspects_kind CHECK (
        kind IN (
            -- Living here, unknown to Stack.
            'undeleted_user', 'undeleted_team', 'extra_membership', 'extra_permission',
            -- Deleted here by a reconciliation, and by an event, and listed by Stack.
            'revived_user', 'revived_team', 'listed_user', 'listed_team'
        )
    ),
    team_id uuid, -- null: the subject is a user
    user_id uuid, -- null: the subject is a team
    permission_id text,
    asked_at timestamptz, -- when the first answer that lacks it was recorded; null: not asked yet
    confirmed_at timestamptz, -- when the request of the second one began, some minutes later
    CONSTRAINT suspects_subject UNIQUE NULLS NOT DISTINCT (run_id, kind, team_id, user_id, permission_id),
    CONSTRAINT suspects_confirmed CHECK (confirmed_at IS NULL OR asked_at IS NOT NULL)
);
-- How many differences of each kind a run has repaired.
CREATE TABLE consumer.run_repairs (
    run_id uuid NOT NULL,
    kind text NOT NULL CONSTRAINT run_repairs_kind CHECK (kind <> ''),
    repaired bigint NOT NULL,
    PRIMARY KEY (run_id, kind)
);
GRANT SELECT, INSERT, DELETE, UPDATE (asked_at, confirmed_at) ON consumer.suspects TO consumer_operator;
GRANT SELECT, INSERT, UPDATE (repaired) ON consumer.run_repairs TO consumer_operator;

-- When the newest complete scan of Stack's users began. Null: there was none.
CREATE FUNCTION identity.last_scan_at() RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT r.begun_at
        FROM consumer.runs AS r
        WHERE r.finished_at IS NOT NULL
        ORDER BY r.begun_at DESC
        LIMIT 1
    );
END
$$;
-- Those of some users that the newest complete scan did not list although they were stored when it began. All at once,
-- because a call for each user takes some 30 µs.
CREATE FUNCTION identity.unconfirmed_users(of_users uuid[]) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT s.user_id
    FROM consumer.suspects AS s
    INNER JOIN unnest(of_users) AS u (user_id) ON s.user_id = u.user_id
    WHERE
        s.run_id = (
            SELECT r.id
            FROM consumer.runs AS r
            WHERE r.finished_at IS NOT NULL
            ORDER BY r.begun_at DESC
            LIMIT 1
        )
        AND s.kind = 'undeleted_user'
        AND s.team_id IS NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION identity.last_scan_at, identity.unconfirmed_users FROM PUBLIC;
GRANT EXECUTE ON FUNCTION identity.last_scan_at, identity.unconfirmed_users
TO consumer_app, consumer_tenant, consumer_operator;
GRANT SELECT (id, begun_at, finished_at) ON consumer.runs TO consumer_definer;
GRANT SELECT (run_id, kind, team_id, user_id) ON consumer.suspects TO consumer_definer;
GRANT CREATE ON SCHEMA identity TO consumer_definer;
ALTER FUNCTION identity.last_scan_at OWNER TO consumer_definer;
ALTER FUNCTION identity.unconfirmed_users OWNER TO consumer_definer;
REVOKE CREATE ON SCHEMA identity FROM consumer_definer;

-- Living profiles without a snapshot from Stack itself or, if an API key was ever used, that nothing confirmed in the
-- last 24 hours: neither a snapshot nor the newest complete scan, as of its beginning. hours_since_sync counts from the
-- newest of both; last_synced_at is the time of the last change by a snapshot.
CREATE OR REPLACE VIEW identity.profiles_needing_sync WITH (security_invoker = TRUE) AS
WITH living AS (
    SELECT
        p.user_id,
        p.full_name,
        p.company_id,
        p.updated_at AS profile_updated_at,
        m.last_synced_at,
        m.occurred_at,
        m.stack_user_id IS NOT NULL AS is_from_stack,
        greatest(p.created_at, m.occurred_at) < (SELECT identity.last_scan_at()) AS is_scanned
    FROM identity.profiles AS p
    LEFT JOIN identity.stack_user_profiles AS m ON p.user_id = m.stack_user_id AND m.version >= '1'
    WHERE p.deleted_at IS NULL
),

unlisted AS (
    SELECT u.user_id
    FROM identity.unconfirmed_users(
        ARRAY(
            SELECT l.user_id FROM living AS l
            WHERE l.is_scanned
        )
    ) AS u (user_id)
),

confirmed AS (
    SELECT
        l.*,
        CASE
            WHEN l.is_scanned AND u.user_id IS NULL THEN (SELECT identity.last_scan_at())
            ELSE l.occurred_at
        END AS confirmed_at
    FROM living AS l
    LEFT JOIN unlisted AS u ON l.user_id = u.user_id
)

SELECT
    l.user_id,
    l.full_name,
    l.company_id,
    c.name AS company_name,
    l.profile_updated_at,
    l.last_synced_at,
    CASE
        WHEN l.is_from_stack THEN (extract(EPOCH FROM now() - l.confirmed_at) / 3600)::double precision
    END AS hours_since_sync
FROM confirmed AS l
LEFT JOIN identity.companies AS c ON l.company_id = c.id
WHERE
    NOT l.is_from_stack
    OR (
        l.confirmed_at < now() - interval '24 hours'
        AND (SELECT identity.has_api_key() OR identity.last_scan_at() IS NOT NULL)
    );
