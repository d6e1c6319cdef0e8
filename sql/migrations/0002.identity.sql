-- The users' data: companies, profiles, the mirror of Stack's users, and the audit of every change.
-- depends: 0001.outbox

DO $$
BEGIN
    -- An administrator may have made it. IF NOT EXISTS needs CREATE on the database even then.
    IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'identity') THEN
        CREATE SCHEMA identity;
    END IF;
END
$$;
REVOKE ALL ON SCHEMA identity FROM PUBLIC;
GRANT USAGE ON SCHEMA identity TO consumer_worker, consumer_operator, consumer_app, consumer_tenant, consumer_definer;

-- The code points that Python's str.strip() strips, listed once: one notion of blank here and in the application.
CREATE FUNCTION consumer.trimmed(value text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN btrim(
    value,
    E'\t\n\u000b\f\r\u001c\u001d\u001e\u001f \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008'
    || E'\u2009\u200a\u2028\u2029\u202f\u205f\u3000'
);

-- Milliseconds since 1970, as Stack sends times; null stays null.
CREATE FUNCTION consumer.instant(millis text) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN to_timestamp(millis::double precision / 1000);

-- The place of a fact in the total order (rank, occurred_at, message_id), as one text that sorts by bytes. The source
-- comes last, behind a byte lower than any in an id, so that it decides only between equal ids.
CREATE FUNCTION consumer.version(source text, occurred_at timestamptz, message_id text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN
(source <> 'app')::integer::text
|| to_char(occurred_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')
|| message_id
|| E'\u0001'
|| source;

-- A non-blank string under a key of a metadata object, as sent; null for anything else.
CREATE FUNCTION consumer.metadata_text(metadata jsonb, key text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN jsonb_typeof(metadata -> key) = 'string' AND consumer.trimmed(metadata ->> key) <> '' THEN metadata ->> key
END;

GRANT EXECUTE ON FUNCTION
consumer.trimmed, consumer.instant, consumer.version, consumer.metadata_text TO consumer_worker, consumer_operator;
REVOKE EXECUTE ON FUNCTION consumer.trimmed, consumer.instant, consumer.version, consumer.metadata_text FROM PUBLIC;

CREATE TABLE identity.companies (
    id uuid PRIMARY KEY,
    name text NOT NULL DEFAULT 'Unnamed team',
    logo_url text, -- null: none
    settings jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz -- null: active
);

CREATE TABLE identity.stack_user_profiles (
    stack_user_id uuid PRIMARY KEY,
    company_id uuid REFERENCES identity.companies (id), -- null: no home
    stack_display_name text,
    stack_primary_email text,
    stack_primary_email_verified boolean, -- null: unknown
    stack_profile_image_url text,
    stack_metadata jsonb, -- null: no snapshot from Stack wins
    is_anonymous boolean, -- null: no snapshot is known
    is_restricted boolean, -- null: unknown
    signed_up_at timestamptz,
    source_role text, -- null: the winning snapshot names none
    source_department text, -- null: the winning snapshot names none
    -- The company id in the server metadata of the winning snapshot, even if that company does not exist; null: none.
    source_company_id uuid,
    last_active_at timestamptz,
    last_sign_in_at timestamptz,
    last_sign_out_at timestamptz,
    has_profile boolean NOT NULL DEFAULT FALSE, -- some snapshot was not anonymous
    is_forgotten boolean NOT NULL DEFAULT FALSE, -- deleted, and the delete policy took the personal data out
    is_held boolean NOT NULL DEFAULT FALSE, -- deleted, but an application's constraint keeps the profile
    version text NOT NULL DEFAULT '' COLLATE "C", -- of the winning snapshot; '': none is known
    occurred_at timestamptz,
    message_id text COLLATE "C",
    last_synced_at timestamptz,
    sync_version bigint NOT NULL DEFAULT 0,
    deleted_at timestamptz, -- null: living
    CONSTRAINT stack_user_profiles_version CHECK ((version = '') = (message_id IS NULL))
) WITH (fillfactor = 80);

-- Whether an offered mirror row changes the stored row beyond its version and the times of activity. The source columns
-- may change without the metadata: a setting chooses the key they are read under. A newer snapshot of a forgotten user
-- is no change, because the content to compare it with is gone.
CREATE FUNCTION identity.is_news(
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
CREATE FUNCTION identity.is_newer(offered identity.stack_user_profiles, known identity.stack_user_profiles)
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

REVOKE EXECUTE ON FUNCTION identity.is_news, identity.is_newer FROM PUBLIC;
GRANT EXECUTE ON FUNCTION identity.is_news, identity.is_newer TO consumer_worker;

CREATE TABLE identity.profiles (
    user_id uuid PRIMARY KEY,
    company_id uuid REFERENCES identity.companies (id), -- null: no home
    full_name text NOT NULL,
    email text, -- null: none
    email_verified boolean, -- null: unknown
    avatar_url text, -- null: none
    role_type text NOT NULL,
    department text NOT NULL,
    is_restricted boolean, -- null: unknown
    last_active_at timestamptz,
    last_sign_in_at timestamptz,
    last_sign_out_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz -- null: living
) WITH (fillfactor = 80);

-- The fields of a profile that the audit records: a change of any of them is audited. Of an avatar that is a long data:
-- URL the image holds hash and length, because each change would add it twice. 2,048 is beyond the URLs that browsers
-- and servers agree on.
CREATE FUNCTION identity.image(profile identity.profiles) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
RETURN jsonb_build_object(
    'company_id', profile.company_id,
    'full_name', profile.full_name,
    'email', profile.email,
    'email_verified', profile.email_verified,
    'avatar_url', CASE
        WHEN length(profile.avatar_url) <= 2048 THEN profile.avatar_url
        ELSE 'sha256:' || encode(sha256(convert_to(profile.avatar_url, 'UTF8')), 'hex')
            || ', ' || length(profile.avatar_url) || ' characters'
    END,
    'role_type', profile.role_type,
    'department', profile.department,
    'is_restricted', profile.is_restricted,
    -- In UTC, because an image must not depend on the session's time zone.
    'deleted_at', (to_jsonb(profile.deleted_at AT TIME ZONE 'UTC') #>> '{}') || '+00:00'
);
-- The fields that differ between two images, by name; without an image before, all fields that are not null.
CREATE FUNCTION identity.changed_fields(before_image jsonb, after_image jsonb) RETURNS text[]
LANGUAGE sql STABLE PARALLEL SAFE
RETURN array_remove(ARRAY[
    CASE WHEN before_image ->> 'avatar_url' IS DISTINCT FROM after_image ->> 'avatar_url' THEN 'avatar_url' END,
    CASE WHEN before_image ->> 'company_id' IS DISTINCT FROM after_image ->> 'company_id' THEN 'company_id' END,
    CASE WHEN before_image ->> 'deleted_at' IS DISTINCT FROM after_image ->> 'deleted_at' THEN 'deleted_at' END,
    CASE WHEN before_image ->> 'department' IS DISTINCT FROM after_image ->> 'department' THEN 'department' END,
    CASE WHEN before_image ->> 'email' IS DISTINCT FROM after_image ->> 'email' THEN 'email' END,
    CASE
        WHEN before_image ->> 'email_verified' IS DISTINCT FROM after_image ->> 'email_verified' THEN 'email_verified'
    END,
    CASE WHEN before_image ->> 'full_name' IS DISTINCT FROM after_image ->> 'full_name' THEN 'full_name' END,
    CASE
        WHEN before_image ->> 'is_restricted' IS DISTINCT FROM after_image ->> 'is_restricted' THEN 'is_restricted'
    END,
    CASE WHEN before_image ->> 'role_type' IS DISTINCT FROM after_image ->> 'role_type' THEN 'role_type' END
], NULL);
REVOKE EXECUTE ON FUNCTION identity.image, identity.changed_fields FROM PUBLIC;
GRANT EXECUTE ON FUNCTION identity.image, identity.changed_fields TO consumer_worker;

CREATE TABLE identity.profile_audit (
    id bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT now(),
    user_id uuid NOT NULL,
    company_id uuid, -- null: the profile had no home
    operation text NOT NULL,
    changed_fields text[] NOT NULL DEFAULT '{}',
    previous_values jsonb, -- null: the profile was created, or no field is concerned
    new_values jsonb, -- null: no field is concerned
    source text NOT NULL,
    message_id text NOT NULL COLLATE "C",
    seq bigint NOT NULL,
    edited_by text, -- who made the edits that the row shows, as the application says; null: none, or it does not say
    reason text, -- why, likewise
    PRIMARY KEY (user_id, id)
);
-- users/put_sign_ins: one row per sign-in, even after a replay.
CREATE UNIQUE INDEX profile_audit_sign_in ON identity.profile_audit (user_id, source, message_id)
WHERE operation IN ('signed_in', 'signed_out');

ALTER TABLE identity.companies ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE identity.stack_user_profiles ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE identity.profiles ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE identity.profile_audit ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY worker ON identity.companies TO consumer_worker USING (TRUE) WITH CHECK (TRUE);
CREATE POLICY worker ON identity.stack_user_profiles TO consumer_worker USING (TRUE) WITH CHECK (TRUE);
CREATE POLICY worker ON identity.profiles TO consumer_worker USING (TRUE) WITH CHECK (TRUE);
CREATE POLICY worker ON identity.profile_audit TO consumer_worker USING (TRUE) WITH CHECK (TRUE);
CREATE POLICY readers ON identity.companies FOR SELECT TO consumer_operator, consumer_app USING (TRUE);
CREATE POLICY readers ON identity.stack_user_profiles FOR SELECT TO consumer_operator, consumer_app USING (TRUE);
CREATE POLICY readers ON identity.profiles FOR SELECT TO consumer_operator, consumer_app USING (TRUE);
CREATE POLICY readers ON identity.profile_audit FOR SELECT TO consumer_operator, consumer_app USING (TRUE);
CREATE POLICY definer ON identity.profile_audit TO consumer_definer USING (TRUE) WITH CHECK (TRUE);
CREATE POLICY definer ON identity.stack_user_profiles FOR SELECT TO consumer_definer USING (TRUE);

GRANT SELECT, INSERT, UPDATE ON identity.companies, identity.stack_user_profiles TO consumer_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON identity.profiles TO consumer_worker;
GRANT SELECT, INSERT ON identity.profile_audit TO consumer_worker;
GRANT SELECT ON
identity.companies, identity.stack_user_profiles, identity.profiles, identity.profile_audit TO consumer_operator;
GRANT SELECT ON identity.companies, identity.profiles, identity.profile_audit TO consumer_app;
GRANT SELECT (
    stack_user_id, company_id, stack_display_name, stack_primary_email, stack_primary_email_verified,
    stack_profile_image_url, is_anonymous, is_restricted, signed_up_at, last_active_at, last_sign_in_at,
    last_sign_out_at, occurred_at, message_id, last_synced_at, sync_version, deleted_at
) ON identity.stack_user_profiles TO consumer_app;

-- Remove the personal values of forgotten users from the audit, and what was said of their edits, which may name them:
-- the only update of it that is allowed.
CREATE FUNCTION identity.scrub_audit(user_ids uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    personal CONSTANT text[] := ARRAY['full_name', 'email', 'email_verified', 'avatar_url'];
    forgotten CONSTANT uuid[] := ARRAY(
        SELECT m.stack_user_id
        FROM identity.stack_user_profiles AS m
        WHERE m.stack_user_id = ANY(user_ids) AND m.is_forgotten
    );
    found_count bigint;
    changed_count bigint;
BEGIN
    SELECT count(*) INTO found_count
    FROM identity.profile_audit
    WHERE
        user_id = ANY(forgotten)
        AND (
            previous_values ?| personal OR new_values ?| personal OR edited_by IS NOT NULL OR reason IS NOT NULL
        );

    UPDATE identity.profile_audit
    SET
        previous_values = previous_values - personal,
        new_values = new_values - personal,
        edited_by = NULL,
        reason = NULL
    WHERE
        user_id = ANY(forgotten)
        AND (
            previous_values ?| personal OR new_values ?| personal OR edited_by IS NOT NULL OR reason IS NOT NULL
        );
    GET DIAGNOSTICS changed_count = ROW_COUNT;

    IF changed_count < found_count THEN
        RAISE EXCEPTION 'scrubbed % of % audit rows', changed_count, found_count USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION identity.scrub_audit FROM PUBLIC;
GRANT EXECUTE ON FUNCTION identity.scrub_audit TO consumer_worker;
GRANT SELECT (user_id, previous_values, new_values, edited_by, reason),
UPDATE (previous_values, new_values, edited_by, reason)
ON identity.profile_audit TO consumer_definer;
GRANT SELECT (stack_user_id, is_forgotten) ON identity.stack_user_profiles TO consumer_definer;
-- The new owner must be able to create in the schema at the moment it becomes the owner, and only then.
GRANT CREATE ON SCHEMA identity TO consumer_definer;
ALTER FUNCTION identity.scrub_audit OWNER TO consumer_definer;
REVOKE CREATE ON SCHEMA identity FROM consumer_definer;
