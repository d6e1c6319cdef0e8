-- Teams as companies, their members, and the queue of users to re-home.
-- depends: 0002.identity

-- The id under a key of a metadata object if it is a canonical UUID; null for anything else.
CREATE FUNCTION consumer.metadata_id(metadata jsonb, key text) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN
        jsonb_typeof(metadata -> key) = 'string'
        AND metadata ->> key ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'
        THEN (metadata ->> key)::uuid
END;
-- The advisory lock of a company, one of 256 (stripes): a batch may refer to more companies than the server has room
-- for locks. The last byte of an id is random.
CREATE FUNCTION consumer.company_stripe(id uuid) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN get_byte(uuid_send(id), 15);

REVOKE EXECUTE ON FUNCTION consumer.metadata_id, consumer.company_stripe FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consumer.metadata_id, consumer.company_stripe TO consumer_worker, consumer_operator;

-- step: identity
-- The version of the event that the name and the logo come from. It begins with 1 for an event of the team itself, with
-- 0 for a team inside a user; '': no such event is known, the company is a placeholder.
ALTER TABLE identity.companies ADD COLUMN version text NOT NULL DEFAULT '' COLLATE "C";

-- All facts about a user in a team; identity.company_members is derived from them.
CREATE TABLE consumer.memberships (
    user_id uuid NOT NULL,
    company_id uuid NOT NULL,
    joined_at timestamptz, -- the first join, explicit or implied; null: only a removal is known
    join_version text NOT NULL COLLATE "C", -- of the last explicit join; '': none is known
    removal_version text NOT NULL COLLATE "C", -- of the last removal; '': none is known
    removed_at timestamptz, -- of the last removal; null: none is known
    is_implied boolean NOT NULL, -- a snapshot from Stack named the team as selected
    PRIMARY KEY (user_id, company_id),
    CONSTRAINT memberships_join CHECK (joined_at IS NOT NULL OR (join_version = '' AND NOT is_implied)),
    CONSTRAINT memberships_removal CHECK ((removal_version = '') = (removed_at IS NULL))
) WITH (fillfactor = 90);
-- rehome/page: the members.
CREATE INDEX memberships_company_id ON consumer.memberships (company_id, user_id);

-- The newest event of each permission of a user in a team, even if the user is not a member.
CREATE TABLE consumer.team_permissions (
    user_id uuid NOT NULL,
    company_id uuid NOT NULL,
    permission_id text NOT NULL COLLATE "C",
    version text NOT NULL COLLATE "C",
    is_present boolean NOT NULL,
    PRIMARY KEY (user_id, company_id, permission_id)
);

CREATE TABLE identity.company_members (
    company_id uuid NOT NULL REFERENCES identity.companies (id),
    user_id uuid NOT NULL,
    joined_at timestamptz, -- null: only a removal is known
    removed_at timestamptz, -- null: active
    permissions text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (company_id, user_id)
) WITH (fillfactor = 90);
-- members/home.
CREATE INDEX company_members_active ON identity.company_members (user_id, joined_at, company_id)
WHERE removed_at IS NULL;
-- users/remove_profiles.
CREATE INDEX company_members_user_id ON identity.company_members (user_id);

-- Companies that were created or deleted, with the range of their users still to re-home. A batch only adds rows, so
-- that it never waits for a worker that holds one.
CREATE TABLE consumer.rehome (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    company_id uuid NOT NULL,
    next_user_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    last_user_id uuid NOT NULL DEFAULT 'ffffffff-ffff-ffff-ffff-ffffffffffff',
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    seq bigint NOT NULL -- the delivery that created or deleted the company
);

ALTER TABLE identity.company_members ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY worker ON identity.company_members TO consumer_worker USING (TRUE) WITH CHECK (TRUE);
CREATE POLICY readers ON identity.company_members FOR SELECT TO consumer_operator, consumer_app USING (TRUE);

GRANT SELECT, INSERT, UPDATE, DELETE ON identity.company_members TO consumer_worker;
GRANT SELECT ON identity.company_members TO consumer_operator, consumer_app;
GRANT SELECT, INSERT, UPDATE ON consumer.memberships, consumer.team_permissions TO consumer_worker;
GRANT SELECT, INSERT, DELETE, UPDATE (next_user_id, attempts) ON consumer.rehome TO consumer_worker;
GRANT SELECT ON consumer.memberships, consumer.team_permissions, consumer.rehome TO consumer_operator;

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

-- step: concurrently
-- rehome/page: users that metadata puts into a company, users at home there.
CREATE INDEX CONCURRENTLY stack_user_profiles_source_company_id
ON identity.stack_user_profiles (source_company_id, stack_user_id)
WHERE source_company_id IS NOT NULL;
CREATE INDEX CONCURRENTLY stack_user_profiles_company_id ON identity.stack_user_profiles (company_id, stack_user_id)
WHERE company_id IS NOT NULL;
