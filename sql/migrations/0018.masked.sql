-- What people do to stored data, as rows; and masked views, through which support sees that data without the persons.
-- depends: 0017.reports

-- A worker of the release before writes the same rows.
SELECT consumer.pause_work();
INSERT INTO consumer.fence (migration, oldest_release) VALUES (18, 10);

-- Who did what, and why. A row is written with the first rows that the action changes, and `affected` grows with them.
CREATE TABLE consumer.actions (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL CONSTRAINT actions_actor CHECK (length(actor) BETWEEN 1 AND 256),
    via text NOT NULL CONSTRAINT actions_via CHECK (via IN ('cli', 'console')),
    role text NOT NULL CONSTRAINT actions_role CHECK (role IN ('viewer', 'operator')),
    action text NOT NULL CONSTRAINT actions_action CHECK (length(action) BETWEEN 1 AND 64),
    filter jsonb NOT NULL DEFAULT '{}', -- what was chosen, by ids: never a name or an address
    seen_count bigint, -- how many matched when the actor decided; null: nobody counted
    affected bigint NOT NULL DEFAULT 0,
    reason text CONSTRAINT actions_reason CHECK (length(reason) <= 1000) -- null: none was asked for, or it was erased
);
-- The newest actions.
CREATE INDEX actions_at ON consumer.actions (at, id);
GRANT SELECT, INSERT, UPDATE (affected, reason) ON consumer.actions TO consumer_operator;

DO $$
BEGIN
    -- An administrator may have made it. IF NOT EXISTS needs CREATE on the database even then.
    IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'consumer_masked') THEN
        CREATE SCHEMA consumer_masked;
    END IF;
END
$$;
REVOKE ALL ON SCHEMA consumer_masked FROM PUBLIC;
GRANT USAGE ON SCHEMA consumer_masked TO consumer_viewer, consumer_operator, consumer_masker;

-- m•••••@example.com
CREATE FUNCTION consumer_masked.email(value text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN left(value, 1) || '•••••' || coalesce(substring(value FROM '@[^@]*$'), '');
-- M••• L•••; the names that stand for none stay as they are.
CREATE FUNCTION consumer_masked.name(value text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN value IN ('Unknown User', 'Deleted user') THEN value
    ELSE regexp_replace(left(value, 200), '(\S)\S*', '\1•••', 'g')
END;
-- That there is a value, and nothing of it.
CREATE FUNCTION consumer_masked.hidden(value text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN value IS NOT NULL THEN '•••' END;
-- What a person wrote, with •••••@example.com for each e-mail address; of JSON, JSON.
CREATE FUNCTION consumer_masked.written(value text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(value, '[^\s@"]*@', '•••••@', 'g');

-- A document without persons. A text stays only under a key that never holds one; under a key of names, addresses,
-- pictures or metadata everything but truth values is masked. What lies deeper than depth is masked whole.
CREATE FUNCTION consumer_masked.document(value jsonb, key text DEFAULT '', depth integer DEFAULT 16) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hidden CONSTANT jsonb := '"•••"';
    is_personal CONSTANT boolean := key ~* '(name|mail|image|avatar|photo|picture|logo|url|phone|address|metadata)';
    kind CONSTANT text := jsonb_typeof(value);
    as_text CONSTANT text := value #>> '{}';
BEGIN
    IF kind IN ('boolean', 'null') OR (kind = 'number' AND NOT is_personal) THEN
        RETURN value;
    ELSIF kind = 'string' THEN
        RETURN CASE
            WHEN is_personal AND key ~* 'mail' THEN to_jsonb(consumer_masked.email(as_text))
            WHEN is_personal AND key ~* 'name' THEN to_jsonb(consumer_masked.name(as_text))
            WHEN key IN ('role_type', 'department', 'deleted_at') THEN value
            WHEN
                key IN ('type', 'id', 'user_id', 'team_id', 'company_id', 'permission_id', 'selected_team_id')
                AND as_text ~ '^[A-Za-z0-9_.:$-]{1,100}$'
                THEN value
            ELSE hidden
        END;
    ELSIF is_personal OR kind = 'number' OR depth = 0 THEN
        RETURN hidden;
    ELSIF kind = 'array' THEN
        RETURN (
            SELECT coalesce(jsonb_agg(consumer_masked.document(e.value, key, depth - 1) ORDER BY e.place), '[]')
            FROM jsonb_array_elements(value) WITH ORDINALITY AS e (value, place)
        );
    END IF;
    RETURN (
        SELECT
            coalesce(
                jsonb_object_agg(
                    CASE WHEN e.key ~ '^[A-Za-z0-9_.-]{1,64}$' THEN e.key ELSE '•••' END,
                    consumer_masked.document(e.value, e.key, depth - 1)
                ),
                '{}'
            )
        FROM jsonb_each(value) AS e (key, value)
    );
END
$$;
-- A stored body as such a document; null where it is no JSON that can be read, or longer than anybody reads.
CREATE FUNCTION consumer_masked.body(value bytea) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF octet_length(value) <= 100000 THEN
        RETURN consumer_masked.document(convert_from(value, 'UTF8')::jsonb);
    END IF;
    RETURN NULL;
EXCEPTION
    WHEN OTHERS THEN RETURN NULL;
END
$$;

CREATE VIEW consumer_masked.actions AS
SELECT
    a.id,
    a.at,
    a.actor,
    a.via,
    a.role,
    a.action,
    consumer_masked.written(a.filter::text)::jsonb AS filter,
    a.seen_count,
    a.affected,
    consumer_masked.written(a.reason) AS reason
FROM consumer.actions AS a;

-- One row a delivery, through the outbox by its key: a page of the newest reads no more than that page.
CREATE VIEW consumer_masked.deliveries AS
SELECT
    o.seq,
    o.source,
    o.message_id,
    o.event_type,
    o.user_id,
    o.team_id,
    o.occurred_at,
    o.received_at,
    CASE
        WHEN d.seq IS NOT NULL THEN 'done'
        WHEN f.seq IS NOT NULL THEN f.state
        WHEN p.seq IS NOT NULL THEN 'pending'
    END AS state,
    coalesce(f.attempts, 0) AS attempts,
    CASE WHEN d.seq IS NULL THEN coalesce(f.next_attempt_at, CASE WHEN f.seq IS NULL THEN o.received_at END) END
        AS next_attempt_at,
    d.outcome,
    d.at AS done_at,
    f.failed_at,
    f.error_code,
    coalesce(f.error, consumer_masked.written(e.reason)) AS error
FROM consumer.outbox AS o
LEFT JOIN consumer.outcomes AS d ON o.seq = d.seq
LEFT JOIN consumer.failures AS f ON o.seq = f.seq
LEFT JOIN consumer.pending AS p ON o.seq = p.seq
LEFT JOIN consumer.exclusions AS e ON o.seq = e.seq;
CREATE VIEW consumer_masked.bodies AS
SELECT
    o.seq,
    coalesce(consumer_masked.body(o.body), consumer_masked.body(o.reduced)) AS body,
    octet_length(o.body) AS bytes
FROM consumer.outbox AS o;
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
CREATE VIEW consumer_masked.pending AS
SELECT
    p.seq,
    p.has_failed
FROM consumer.pending AS p;
CREATE VIEW consumer_masked.outcomes AS
SELECT
    d.seq,
    d.outcome,
    d.at
FROM consumer.outcomes AS d;
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
CREATE VIEW consumer_masked.exclusions AS
SELECT
    e.seq,
    e.excluded_by,
    consumer_masked.written(e.reason) AS reason,
    e.excluded_at
FROM consumer.exclusions AS e;
CREATE VIEW consumer_masked.past_exclusions AS
SELECT
    e.seq,
    e.excluded_by,
    consumer_masked.written(e.reason) AS reason,
    e.excluded_at,
    e.taken_back_by,
    consumer_masked.written(e.taken_back_reason) AS taken_back_reason,
    e.taken_back_at
FROM consumer.past_exclusions AS e;

CREATE VIEW consumer_masked.profiles AS
SELECT
    p.user_id,
    p.company_id,
    consumer_masked.name(p.full_name) AS full_name,
    consumer_masked.email(p.email) AS email,
    p.email_verified,
    consumer_masked.hidden(p.avatar_url) AS avatar_url,
    p.role_type,
    p.department,
    p.is_restricted,
    p.last_active_at,
    p.last_sign_in_at,
    p.last_sign_out_at,
    p.created_at,
    p.updated_at,
    p.deleted_at
FROM identity.profiles AS p;
CREATE VIEW consumer_masked.mirror AS
SELECT
    m.stack_user_id,
    m.company_id,
    consumer_masked.name(m.stack_display_name) AS stack_display_name,
    consumer_masked.email(m.stack_primary_email) AS stack_primary_email,
    m.stack_primary_email_verified,
    consumer_masked.hidden(m.stack_profile_image_url) AS stack_profile_image_url,
    m.is_anonymous,
    m.is_restricted,
    m.signed_up_at,
    m.source_role,
    m.source_department,
    m.source_company_id,
    m.last_active_at,
    m.last_sign_in_at,
    m.last_sign_out_at,
    m.has_profile,
    m.is_forgotten,
    m.is_held,
    m.is_erased,
    m.is_removed,
    m.version,
    m.occurred_at,
    m.message_id,
    m.last_synced_at,
    m.sync_version,
    m.deleted_at,
    m.deletion_at,
    m.missing_at,
    m.seen_at
FROM identity.stack_user_profiles AS m;
-- A team that never had a second member may bear the name of its only one.
CREATE VIEW consumer_masked.companies AS
SELECT
    c.id,
    CASE
        WHEN
            (
                SELECT count(*)
                FROM (
                    SELECT FROM identity.company_members AS b
                    WHERE b.company_id = c.id
                    ORDER BY b.user_id
                    LIMIT 2
                ) AS members
            ) = 2
            THEN c.name
        ELSE consumer_masked.name(c.name)
    END AS name,
    c.created_at,
    c.updated_at,
    c.deleted_at,
    c.version,
    c.deletion_at,
    c.missing_at,
    c.seen_at
FROM identity.companies AS c;
CREATE VIEW consumer_masked.company_members AS
SELECT
    b.company_id,
    b.user_id,
    b.joined_at,
    b.removed_at,
    b.permissions,
    b.is_guest
FROM identity.company_members AS b;
CREATE VIEW consumer_masked.audit AS
SELECT
    a.id,
    a.at,
    a.user_id,
    a.company_id,
    a.operation,
    a.changed_fields,
    consumer_masked.document(a.previous_values) AS previous_values,
    consumer_masked.document(a.new_values) AS new_values,
    a.source,
    a.message_id,
    a.seq,
    consumer_masked.hidden(a.edited_by) AS edited_by,
    consumer_masked.hidden(a.reason) AS reason
FROM identity.profile_audit AS a;
CREATE VIEW consumer_masked.memberships AS
SELECT
    m.user_id,
    m.company_id,
    m.joined_at,
    m.join_version,
    m.removal_version,
    m.removed_at,
    m.is_implied
FROM consumer.memberships AS m;
CREATE VIEW consumer_masked.team_permissions AS
SELECT
    t.user_id,
    t.company_id,
    t.permission_id,
    t.version,
    t.is_present
FROM consumer.team_permissions AS t;
CREATE VIEW consumer_masked.edits AS
SELECT
    e.user_id,
    e.field,
    e.value,
    e.version,
    e.seq
FROM consumer.edits AS e;

CREATE VIEW consumer_masked.rebuild AS
SELECT
    r.stage,
    r.id,
    r.attempts,
    r.due_at,
    r.error
FROM consumer.rebuild AS r;
CREATE VIEW consumer_masked.rehome AS
SELECT
    r.id,
    r.company_id,
    r.next_user_id,
    r.last_user_id,
    r.attempts,
    r.due_at,
    r.seq
FROM consumer.rehome AS r;
CREATE VIEW consumer_masked.runs AS
SELECT
    r.id,
    r.kind,
    r.stage,
    r.restarts,
    r.listed_at,
    r.users,
    r.teams,
    r.memberships,
    r.permissions,
    r.stored,
    r.unusable,
    r.calls,
    r.begun_at,
    r.finished_at,
    r.abandoned_at
FROM consumer.runs AS r;
CREATE VIEW consumer_masked.run_repairs AS
SELECT
    r.run_id,
    r.kind,
    r.repaired
FROM consumer.run_repairs AS r;
CREATE VIEW consumer_masked.suspects AS
SELECT
    s.run_id,
    s.kind,
    s.team_id,
    s.user_id,
    s.permission_id,
    s.asked_at,
    s.confirmed_at
FROM consumer.suspects AS s;
CREATE VIEW consumer_masked.maintenance AS
SELECT
    m.job,
    m.started_at,
    m.ended_at,
    m.due_at,
    m.counts,
    m.remark,
    m.error
FROM consumer.maintenance AS m;
CREATE VIEW consumer_masked.reports AS
SELECT
    r.at,
    r.process_id,
    r.duty,
    r.host,
    r.pid,
    r.release,
    r.clock_skew_seconds,
    r.next_at,
    r.paused_by,
    r.counters,
    r.histograms,
    r.findings
FROM consumer.reports AS r;
CREATE VIEW consumer_masked.hours AS
SELECT
    h.source,
    h.hour,
    h.n
FROM consumer.hours AS h;
CREATE VIEW consumer_masked.settings AS
SELECT
    s.default_company_id,
    s.default_role,
    s.default_department,
    s.role_key,
    s.department_key,
    s.company_key,
    s.delete_policy,
    s.recorded_at,
    s.audited_since,
    s.pruned_until
FROM consumer.settings AS s;
CREATE VIEW consumer_masked.project AS
SELECT
    p.project_id,
    p.pinned_at,
    p.endpoint_url
FROM consumer.project AS p;
CREATE VIEW consumer_masked.fence AS
SELECT
    f.migration,
    f.oldest_release
FROM consumer.fence AS f;
CREATE VIEW consumer_masked.migrations AS
SELECT
    m.migration_id,
    m.applied_at_utc
FROM consumer._yoyo_migration AS m;

-- The functions of a query run with its reader's rights, so one that reads a table is the masker's.
CREATE FUNCTION consumer_masked.seq_before(since timestamptz) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN consumer.seq_before(since);
-- The users with this address, in any case. Exactly this one: nobody learns addresses by searching for their parts.
CREATE FUNCTION consumer_masked.users_by_email(address text) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 1
BEGIN ATOMIC
    SELECT m.stack_user_id
    FROM identity.stack_user_profiles AS m
    WHERE
        lower(m.stack_primary_email) = lower(address)
        -- The index of it holds no longer ones.
        AND octet_length(m.stack_primary_email) <= 320
    ORDER BY m.stack_user_id;
END;
-- What pg_stat_statements, in whatever schema it lies, counts of our queries, in seconds. Of a statement only the name
-- that we put behind it comes out: texts hold what others wrote, passwords of CREATE ROLE among it.
CREATE FUNCTION consumer_masked.statements() RETURNS TABLE (
    name text, calls bigint, total double precision, longest double precision
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place CONSTANT text := (
        SELECT n.nspname FROM pg_extension AS e
        INNER JOIN pg_namespace AS n ON e.extnamespace = n.oid
        WHERE e.extname = 'pg_stat_statements'
    );
BEGIN
    IF place IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format(
        'SELECT named.name, sum(s.calls)::bigint, sum(s.total_exec_time) / 1000, max(s.max_exec_time) / 1000 '
        'FROM %I.pg_stat_statements AS s '
        'CROSS JOIN substring(s.query FROM ''/\* consumer ([a-z_]{1,60}/[a-z_]{1,60}) \*/\s*$'') AS named (name) '
        'INNER JOIN pg_database AS d ON s.dbid = d.oid '
        'WHERE named.name IS NOT NULL AND d.datname = current_database() '
        'AND has_schema_privilege(s.userid, ''consumer'', ''USAGE'') '
        'GROUP BY named.name',
        place
    );
END
$$;
-- As consumer.queue_stats, which reads with the rights of its reader.
CREATE VIEW consumer_masked.queue_stats AS
SELECT
    (SELECT count(*) FROM consumer.pending)
    + (SELECT count(*) FROM consumer.rehome)
    + (SELECT count(*) FROM consumer.rebuild) AS pending,
    (
        SELECT count(*) FROM consumer.failures AS f
        WHERE f.state = 'retrying'
    ) AS retrying,
    (
        SELECT count(*) FROM consumer.failures AS f
        WHERE f.state = 'dead'
    ) AS dead,
    (SELECT count(*) FROM consumer.outcomes) AS done,
    coalesce(
        extract(
            EPOCH FROM now() - least(
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
            )
        )::double precision,
        0
    ) AS oldest_due_seconds,
    (
        SELECT count(*) FROM consumer.outbox AS o
        WHERE
            o.seq > consumer_masked.seq_before(now() - interval '1 minute')
            AND o.received_at > now() - interval '1 minute'
    ) AS received_last_minute,
    (
        SELECT count(*) FROM consumer.outcomes AS d
        WHERE
            d.at > now() - interval '1 minute'
            AND d.outcome IN ('applied', 'unchanged', 'stale', 'ignored')
    ) AS applied_last_minute;

-- What the masker reads: of a person only what it masks.
GRANT SELECT ON
consumer.actions,
consumer.edits,
consumer.exclusions,
consumer.failures,
consumer.fence,
consumer.hours,
consumer.maintenance,
consumer.memberships,
consumer.outcomes,
consumer.past_exclusions,
consumer.pending,
consumer.project,
consumer.rebuild,
consumer.rehome,
consumer.reports,
consumer.run_repairs,
consumer.suspects,
consumer.team_permissions
TO consumer_masker;
GRANT SELECT (migration_id, applied_at_utc) ON consumer._yoyo_migration TO consumer_masker;
GRANT SELECT (
    seq, source, message_id, event_type, user_id, team_id, occurred_at, received_at, body, reduced
) ON consumer.outbox TO consumer_masker;
GRANT SELECT (
    id, kind, stage, restarts, listed_at, users, teams, memberships, permissions, stored, unusable, calls, begun_at,
    finished_at, abandoned_at
) ON consumer.runs TO consumer_masker;
GRANT SELECT (
    default_company_id, default_role, default_department, role_key, department_key, company_key, delete_policy,
    recorded_at, audited_since, pruned_until
) ON consumer.settings TO consumer_masker;
GRANT SELECT (id, name, created_at, updated_at, deleted_at, version, deletion_at, missing_at, seen_at)
ON identity.companies TO consumer_masker;
GRANT SELECT (company_id, user_id, joined_at, removed_at, permissions, is_guest)
ON identity.company_members TO consumer_masker;
GRANT SELECT ON identity.profile_audit TO consumer_masker;
GRANT SELECT (
    user_id, company_id, full_name, email, email_verified, avatar_url, role_type, department, is_restricted,
    last_active_at, last_sign_in_at, last_sign_out_at, created_at, updated_at, deleted_at
) ON identity.profiles TO consumer_masker;
GRANT SELECT (
    stack_user_id, company_id, stack_display_name, stack_primary_email, stack_primary_email_verified,
    stack_profile_image_url, is_anonymous, is_restricted, signed_up_at, source_role, source_department,
    source_company_id, last_active_at, last_sign_in_at, last_sign_out_at, has_profile, is_forgotten, is_held, is_erased,
    is_removed, version, occurred_at, message_id, last_synced_at, sync_version, deleted_at, deletion_at, missing_at,
    seen_at
) ON identity.stack_user_profiles TO consumer_masker;
GRANT USAGE ON SCHEMA consumer TO consumer_masker;
GRANT EXECUTE ON FUNCTION consumer.seq_before TO consumer_masker;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA consumer_masked FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
consumer_masked.body,
consumer_masked.document,
consumer_masked.email,
consumer_masked.hidden,
consumer_masked.name,
consumer_masked.seq_before,
consumer_masked.statements,
consumer_masked.users_by_email,
consumer_masked.written
TO consumer_viewer, consumer_operator;
GRANT SELECT ON
consumer_masked.actions,
consumer_masked.audit,
consumer_masked.bodies,
consumer_masked.companies,
consumer_masked.company_members,
consumer_masked.deliveries,
consumer_masked.edits,
consumer_masked.exclusions,
consumer_masked.failures,
consumer_masked.fence,
consumer_masked.hours,
consumer_masked.maintenance,
consumer_masked.memberships,
consumer_masked.migrations,
consumer_masked.mirror,
consumer_masked.outbox,
consumer_masked.outcomes,
consumer_masked.past_exclusions,
consumer_masked.pending,
consumer_masked.profiles,
consumer_masked.project,
consumer_masked.queue_stats,
consumer_masked.rebuild,
consumer_masked.rehome,
consumer_masked.reports,
consumer_masked.run_repairs,
consumer_masked.runs,
consumer_masked.settings,
consumer_masked.suspects,
consumer_masked.team_permissions
TO consumer_viewer, consumer_operator;

-- The new owner must be able to create in the schema at the moment it becomes the owner, and only then.
GRANT CREATE ON SCHEMA consumer_masked TO consumer_masker;
ALTER VIEW consumer_masked.actions OWNER TO consumer_masker;
ALTER VIEW consumer_masked.audit OWNER TO consumer_masker;
ALTER VIEW consumer_masked.bodies OWNER TO consumer_masker;
ALTER VIEW consumer_masked.companies OWNER TO consumer_masker;
ALTER VIEW consumer_masked.company_members OWNER TO consumer_masker;
ALTER VIEW consumer_masked.deliveries OWNER TO consumer_masker;
ALTER VIEW consumer_masked.edits OWNER TO consumer_masker;
ALTER VIEW consumer_masked.exclusions OWNER TO consumer_masker;
ALTER VIEW consumer_masked.failures OWNER TO consumer_masker;
ALTER VIEW consumer_masked.fence OWNER TO consumer_masker;
ALTER VIEW consumer_masked.hours OWNER TO consumer_masker;
ALTER VIEW consumer_masked.maintenance OWNER TO consumer_masker;
ALTER VIEW consumer_masked.memberships OWNER TO consumer_masker;
ALTER VIEW consumer_masked.migrations OWNER TO consumer_masker;
ALTER VIEW consumer_masked.mirror OWNER TO consumer_masker;
ALTER VIEW consumer_masked.outbox OWNER TO consumer_masker;
ALTER VIEW consumer_masked.outcomes OWNER TO consumer_masker;
ALTER VIEW consumer_masked.past_exclusions OWNER TO consumer_masker;
ALTER VIEW consumer_masked.pending OWNER TO consumer_masker;
ALTER VIEW consumer_masked.profiles OWNER TO consumer_masker;
ALTER VIEW consumer_masked.project OWNER TO consumer_masker;
ALTER VIEW consumer_masked.queue_stats OWNER TO consumer_masker;
ALTER VIEW consumer_masked.rebuild OWNER TO consumer_masker;
ALTER VIEW consumer_masked.rehome OWNER TO consumer_masker;
ALTER VIEW consumer_masked.reports OWNER TO consumer_masker;
ALTER VIEW consumer_masked.run_repairs OWNER TO consumer_masker;
ALTER VIEW consumer_masked.runs OWNER TO consumer_masker;
ALTER VIEW consumer_masked.settings OWNER TO consumer_masker;
ALTER VIEW consumer_masked.suspects OWNER TO consumer_masker;
ALTER VIEW consumer_masked.team_permissions OWNER TO consumer_masker;
ALTER FUNCTION consumer_masked.seq_before OWNER TO consumer_masker;
ALTER FUNCTION consumer_masked.statements OWNER TO consumer_masker;
ALTER FUNCTION consumer_masked.users_by_email OWNER TO consumer_masker;
REVOKE CREATE ON SCHEMA consumer_masked FROM consumer_masker;

-- step: intake
CREATE POLICY masker ON consumer.outbox FOR SELECT TO consumer_masker USING (TRUE);
CREATE POLICY masker ON consumer.failures FOR SELECT TO consumer_masker USING (TRUE);

-- step: identity
CREATE POLICY masker ON identity.companies FOR SELECT TO consumer_masker USING (TRUE);
CREATE POLICY masker ON identity.company_members FOR SELECT TO consumer_masker USING (TRUE);
CREATE POLICY masker ON identity.profile_audit FOR SELECT TO consumer_masker USING (TRUE);
CREATE POLICY masker ON identity.profiles FOR SELECT TO consumer_masker USING (TRUE);
CREATE POLICY masker ON identity.stack_user_profiles FOR SELECT TO consumer_masker USING (TRUE);

-- step: concurrently
-- consumer_masked.users_by_email. An index entry has at most 2,704 bytes, and an address that mail can reach 320.
CREATE INDEX CONCURRENTLY stack_user_profiles_email ON identity.stack_user_profiles (lower(stack_primary_email))
WHERE octet_length(stack_primary_email) <= 320;
