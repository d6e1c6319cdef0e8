-- Policies for tenants, functions and views for applications, and the indexes that serve both.
-- depends: 0004.edits

-- The company and the user of a transaction, as app.company_id and app.user_id name them. Null, which equals nothing,
-- if the setting is absent or not a UUID. In PL/pgSQL, because the planner would copy an SQL function's expression into
-- each policy, and evaluate it for each row.
CREATE FUNCTION identity.current_company_id() RETURNS uuid
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE
        WHEN
            current_setting('app.company_id', TRUE) ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'
            THEN current_setting('app.company_id', TRUE)::uuid
    END;
END
$$;
CREATE FUNCTION identity.current_user_id() RETURNS uuid
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE
        WHEN
            current_setting('app.user_id', TRUE) ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'
            THEN current_setting('app.user_id', TRUE)::uuid
    END;
END
$$;
-- Whether the transaction's company is active. SECURITY DEFINER, like the next three: a policy that reads another table
-- is planned with the policies of that table, which costs more than a lookup and must not recurse.
CREATE FUNCTION identity.is_current_company_active() RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM identity.companies AS c
        WHERE c.id = identity.current_company_id() AND c.deleted_at IS NULL
    );
END
$$;
-- The guest key of the transaction's company, the mark of its guests; null if the company is not active.
CREATE FUNCTION identity.current_guest_key() RETURNS uuid
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT c.guest_key
        FROM identity.companies AS c
        WHERE c.id = identity.current_company_id() AND c.deleted_at IS NULL
    );
END
$$;
-- The next guests of the transaction's company with a living profile, by user id; with role_name, only users with that
-- role. SECURITY DEFINER, because under the policies the planner expects few guests, and sorts all for a page.
CREATE FUNCTION identity.current_guests(after uuid, role_name text, size integer) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted_id CONSTANT uuid := identity.current_company_id();
BEGIN
    IF EXISTS (SELECT FROM identity.companies AS c WHERE c.id = wanted_id AND c.deleted_at IS NULL) THEN
        RETURN QUERY
        SELECT b.user_id
        FROM identity.company_members AS b
        INNER JOIN identity.profiles AS p ON b.user_id = p.user_id
        WHERE
            b.company_id = wanted_id AND b.is_guest AND p.deleted_at IS NULL
            AND (after IS NULL OR b.user_id > after)
            AND (role_name IS NULL OR p.role_type = role_name)
        ORDER BY b.user_id
        LIMIT size;
    END IF;
END
$$;
-- The companies in which the transaction's user is an active member.
CREATE FUNCTION identity.current_memberships() RETURNS uuid[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN ARRAY(
        SELECT b.company_id
        FROM identity.company_members AS b
        WHERE b.user_id = identity.current_user_id() AND b.removed_at IS NULL
    );
END
$$;
REVOKE EXECUTE ON FUNCTION
identity.current_company_id,
identity.current_user_id,
identity.is_current_company_active,
identity.current_guest_key,
identity.current_guests,
identity.current_memberships
FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
identity.current_company_id, identity.current_user_id TO consumer_tenant, consumer_app, consumer_definer;
GRANT EXECUTE ON FUNCTION identity.current_guest_key TO consumer_tenant;
GRANT EXECUTE ON FUNCTION identity.current_guests TO consumer_tenant, consumer_app;
GRANT EXECUTE ON FUNCTION
identity.is_current_company_active, identity.current_memberships TO consumer_tenant;

-- A name in the form that a search compares: without compatibility forms, accents and case, and cut to the size of an
-- index entry. The same in every locale, hence no lower() of the database's own: in a Turkish one it makes ı of I. The
-- list has the letters of the blocks Latin-1, Latin Extended-A, Greek, Cyrillic and Armenian, Ə, and the letters that
-- people type as others. Letters that stay come first, because each letter is looked for from the start of the list.
CREATE FUNCTION identity.folded(name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN left(
    CASE
        WHEN octet_length(name) = length(name) THEN lower(name COLLATE "C")
        ELSE replace(
            translate(
                lower(regexp_replace(normalize(name, NFKD) COLLATE "C", '[\u0300-\u036f]', '', 'g')),
                'абвгдежзиклмнопрстуфхцчшщъыьэюя'
                || 'АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ'
                || 'αβγδεζηθικλμνξοπρστυφχψως'
                || 'ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ'
                || 'ĐđĦħıŁłØøŦŧ'
                || 'ÆÐÞŊŒƏẞ'
                || 'ЂЄЅІЈЉЊЋЏѠѢѤѦѨѪѬѮѰѲѴѸѺѼѾҀҊҌҎҐҒҔҖҘҚҜҞҠҢҤҦҨҪҬҮҰҲҴҶҸҺҼҾӀӃӅӇӉӋӍӔӘӠӨӶӺӼӾԀԂԄԆԈԊԌԎԐԒԔԖԘ'
                || 'ԚԜԞԠԢԤԦԨԪԬԮ'
                || 'ͰͲͶͿϏϘϚϜϞϠϢϤϦϨϪϬϮϷϺϽϾϿ'
                || 'ԱԲԳԴԵԶԷԸԹԺԻԼԽԾԿՀՁՂՃՄՅՆՇՈՉՊՋՌՍՎՏՐՑՒՓՔՕՖ',
                'абвгдежзиклмнопрстуфхцчшщъыьэюя'
                || 'абвгдежзиклмнопрстуфхцчшщъыьэюя'
                || 'αβγδεζηθικλμνξοπρστυφχψωσ'
                || 'αβγδεζηθικλμνξοπρστυφχψω'
                || 'ddhhilloott'
                || 'æðþŋœəß'
                || 'ђєѕіјљњћџѡѣѥѧѩѫѭѯѱѳѵѹѻѽѿҁҋҍҏґғҕҗҙқҝҟҡңҥҧҩҫҭүұҳҵҷҹһҽҿӏӄӆӈӊӌӎӕәӡөӷӻӽӿԁԃԅԇԉԋԍԏԑԓԕԗԙ'
                || 'ԛԝԟԡԣԥԧԩԫԭԯ'
                || 'ͱͳͷϳϗϙϛϝϟϡϣϥϧϩϫϭϯϸϻͻͼͽ'
                || 'աբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆ'
            ),
            'ß',
            'ss'
        )
    END,
    256
);
REVOKE EXECUTE ON FUNCTION identity.folded FROM PUBLIC;
GRANT EXECUTE ON FUNCTION identity.folded TO consumer_worker, consumer_app, consumer_tenant, consumer_definer;

-- The mark of a company for its guests. Without the salt of the installation nobody can tell which company a key means;
-- with it a rebuild gives each company the key that it had.
CREATE FUNCTION consumer.guest_key(salt bytea, company_id uuid) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN encode(substr(sha256(salt || uuid_send(company_id)), 1, 16), 'hex')::uuid;
REVOKE EXECUTE ON FUNCTION consumer.guest_key FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consumer.guest_key TO consumer_worker;

-- step: identity
-- An installation's salt never changes: recorded_settings/record sets the other columns only.
ALTER TABLE consumer.settings
ADD COLUMN guest_salt bytea NOT NULL DEFAULT (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

-- The worker writes it with each profile. An index on the expression would not serve tenants: PostgreSQL evaluates a
-- function that is not LEAKPROOF only on rows that the policies let through. A generated column would be added by
-- rewriting the table while nobody can read it. '': written by a worker that does not know the column.
ALTER TABLE identity.profiles ADD COLUMN search_name text NOT NULL DEFAULT '' COLLATE "C";

-- An active member of a company that is not the home is a guest there. A company sees the users at home in it and its
-- guests. Profiles, and the mirror rows that they are derived from, carry the guest keys of the companies where the
-- user is a guest, because a policy must find guests by an index: a comparison with a list of 200,000 guests took a
-- minute. A guest key is not an id: a reader of a profile must not learn where else its user is a member.
ALTER TABLE identity.companies ADD COLUMN guest_key uuid;
-- For a worker that does not know the column; the others derive the key.
ALTER TABLE identity.companies ALTER COLUMN guest_key SET DEFAULT gen_random_uuid();
ALTER TABLE identity.company_members ADD COLUMN is_guest boolean NOT NULL DEFAULT FALSE;
ALTER TABLE identity.stack_user_profiles ADD COLUMN guest_keys uuid[]; -- ascending; null: nowhere
ALTER TABLE identity.profiles ADD COLUMN guest_keys uuid[]; -- ascending; null: nowhere
-- A guest's profiles.search_name, beside the membership: a search that looks each guest up takes a second for 200,000.
-- Null: no guest, or no profile.
ALTER TABLE identity.company_members ADD COLUMN search_name text COLLATE "C",
ADD CONSTRAINT company_members_search_name CHECK (is_guest OR search_name IS NULL) NOT VALID;

-- step: pages as consumer_worker
-- The guest keys of the companies that are there.
SELECT max(c.id::text COLLATE "C") AS last
FROM (
    SELECT id
    FROM identity.companies
    WHERE %(after)s::uuid IS NULL OR id > %(after)s::uuid
    ORDER BY id
    LIMIT 1000
    FOR NO KEY UPDATE
) AS c;
UPDATE identity.companies
SET guest_key = coalesce(
    consumer.guest_key(
        (
            SELECT s.guest_salt
            FROM consumer.settings AS s
        ),
        id
    ),
    gen_random_uuid()
)
WHERE (%(after)s::uuid IS NULL OR id > %(after)s::uuid) AND id <= %(last)s::uuid AND guest_key IS NULL;

-- step: pages as consumer_worker
-- The marks of the guests that are there. The mirror row is its user's lock.
SELECT max(m.stack_user_id::text COLLATE "C") AS last
FROM (
    SELECT u.stack_user_id
    FROM identity.stack_user_profiles AS u
    WHERE
        (%(after)s::uuid IS NULL OR u.stack_user_id > %(after)s::uuid)
        AND EXISTS (
            SELECT FROM identity.company_members AS b
            WHERE b.user_id = u.stack_user_id AND b.removed_at IS NULL AND b.company_id IS DISTINCT FROM u.company_id
        )
    ORDER BY u.stack_user_id
    LIMIT 1000
    FOR NO KEY UPDATE OF u
) AS m;
UPDATE identity.company_members AS b
SET is_guest = TRUE
FROM identity.stack_user_profiles AS m
WHERE
    b.user_id = m.stack_user_id
    AND (%(after)s::uuid IS NULL OR m.stack_user_id > %(after)s::uuid)
    AND m.stack_user_id <= %(last)s::uuid
    AND b.removed_at IS NULL
    AND b.company_id IS DISTINCT FROM m.company_id;
UPDATE identity.stack_user_profiles AS m
SET guest_keys = g.guest_keys
FROM (
    SELECT
        b.user_id,
        array_agg(c.guest_key ORDER BY c.guest_key) AS guest_keys
    FROM identity.company_members AS b
    INNER JOIN identity.companies AS c ON b.company_id = c.id
    WHERE (%(after)s::uuid IS NULL OR b.user_id > %(after)s::uuid) AND b.user_id <= %(last)s::uuid AND b.is_guest
    GROUP BY b.user_id
) AS g
WHERE m.stack_user_id = g.user_id;
UPDATE identity.profiles AS p
SET guest_keys = m.guest_keys
FROM identity.stack_user_profiles AS m
WHERE
    p.user_id = m.stack_user_id
    AND (%(after)s::uuid IS NULL OR m.stack_user_id > %(after)s::uuid)
    AND m.stack_user_id <= %(last)s::uuid
    AND m.guest_keys IS NOT NULL;

-- step: pages as consumer_worker
-- The names of the profiles that are there, as a search compares them.
SELECT max(p.user_id::text COLLATE "C") AS last
FROM (
    SELECT user_id
    FROM identity.profiles
    WHERE %(after)s::uuid IS NULL OR user_id > %(after)s::uuid
    ORDER BY user_id
    LIMIT 1000
) AS p;
SELECT count(*) AS locked
FROM (
    SELECT stack_user_id
    FROM identity.stack_user_profiles
    WHERE (%(after)s::uuid IS NULL OR stack_user_id > %(after)s::uuid) AND stack_user_id <= %(last)s::uuid
    ORDER BY stack_user_id
    FOR NO KEY UPDATE
) AS m;
UPDATE identity.profiles
SET search_name = identity.folded(full_name)
WHERE (%(after)s::uuid IS NULL OR user_id > %(after)s::uuid) AND user_id <= %(last)s::uuid;
UPDATE identity.company_members AS b
SET search_name = p.search_name
FROM identity.profiles AS p
WHERE
    b.is_guest
    AND b.user_id = p.user_id
    AND p.deleted_at IS NULL
    AND (%(after)s::uuid IS NULL OR p.user_id > %(after)s::uuid)
    AND p.user_id <= %(last)s::uuid;

-- step: catalogue
-- Readers and workers go on while it looks at the rows.
ALTER TABLE identity.company_members VALIDATE CONSTRAINT company_members_search_name;

-- step: concurrently
-- members/home, identity.current_guests.
CREATE INDEX CONCURRENTLY company_members_guests ON identity.company_members (company_id, user_id) WHERE is_guest;
-- A page of a company, by user id.
CREATE INDEX CONCURRENTLY profiles_company_id ON identity.profiles (company_id, user_id) WHERE company_id IS NOT NULL;
-- A company's users by role and by department. An index entry holds at most 2.7 kB, but a sender may send any length:
-- the index leaves out values over 256 bytes, and only a query with the same condition uses it.
CREATE INDEX CONCURRENTLY profiles_role_type ON identity.profiles (company_id, role_type, user_id)
WHERE company_id IS NOT NULL AND octet_length(role_type) <= 256;
CREATE INDEX CONCURRENTLY profiles_department ON identity.profiles (company_id, department, user_id)
WHERE company_id IS NOT NULL AND octet_length(department) <= 256;
-- The latest changes in a company.
CREATE INDEX CONCURRENTLY profiles_updated_at ON identity.profiles (company_id, updated_at, user_id)
WHERE company_id IS NOT NULL;
-- The tenants' policies: a company's guests. Without fastupdate, because each query would read its list of pending
-- entries too.
CREATE INDEX CONCURRENTLY profiles_guest_keys ON identity.profiles USING gin (guest_keys) WITH (fastupdate = FALSE)
WHERE guest_keys IS NOT NULL;
CREATE INDEX CONCURRENTLY stack_user_profiles_guest_keys ON identity.stack_user_profiles USING gin (guest_keys)
WITH (fastupdate = FALSE) WHERE guest_keys IS NOT NULL;
-- identity.current_matches.
CREATE INDEX CONCURRENTLY profiles_search_name ON identity.profiles (company_id, search_name, user_id)
WHERE company_id IS NOT NULL;
CREATE INDEX CONCURRENTLY company_members_search_name ON identity.company_members (company_id, search_name, user_id)
WHERE search_name IS NOT NULL;

-- step: identity
ALTER TABLE identity.companies ALTER COLUMN guest_key SET NOT NULL;

-- A sub-select runs once, not once a row, and only if the conditions before it do not decide. The company is compared
-- twice: the sub-select answers for most rows, and the bare call shows the planner which company it is and how large.
-- For a company of average size the planner would expect so few rows that it read a large one whole for one page.
CREATE POLICY tenant ON identity.companies FOR SELECT TO consumer_tenant USING (
    deleted_at IS NULL
    AND (id = (SELECT identity.current_company_id()) OR id = ANY((SELECT identity.current_memberships())::uuid[]))
);
CREATE POLICY tenant ON identity.company_members FOR SELECT TO consumer_tenant USING (
    removed_at IS NULL
    AND (
        (
            (company_id = (SELECT identity.current_company_id()) OR company_id = identity.current_company_id())
            AND (SELECT identity.is_current_company_active())
        )
        OR user_id = (SELECT identity.current_user_id())
    )
);
CREATE POLICY tenant ON identity.profiles FOR SELECT TO consumer_tenant USING (
    deleted_at IS NULL
    AND (
        (
            (company_id = (SELECT identity.current_company_id()) OR company_id = identity.current_company_id())
            AND (SELECT identity.is_current_company_active())
        )
        OR user_id = (SELECT identity.current_user_id())
        OR guest_keys @> ARRAY[(SELECT identity.current_guest_key())]
    )
);
CREATE POLICY tenant ON identity.stack_user_profiles FOR SELECT TO consumer_tenant USING (
    deleted_at IS NULL
    AND has_profile
    AND (
        (
            (company_id = (SELECT identity.current_company_id()) OR company_id = identity.current_company_id())
            AND (SELECT identity.is_current_company_active())
        )
        OR stack_user_id = (SELECT identity.current_user_id())
        OR guest_keys @> ARRAY[(SELECT identity.current_guest_key())]
    )
);
-- A company sees the audit rows that name it, of users that it sees; rows of the same user that name another company
-- stay hidden.
CREATE POLICY tenant ON identity.profile_audit FOR SELECT TO consumer_tenant USING (
    company_id = identity.current_company_id()
    AND (SELECT identity.is_current_company_active())
    AND EXISTS (
        SELECT FROM identity.profiles AS p
        WHERE p.user_id = profile_audit.user_id
    )
);
CREATE POLICY definer ON identity.companies FOR SELECT TO consumer_definer USING (TRUE);
CREATE POLICY definer ON identity.company_members FOR SELECT TO consumer_definer USING (TRUE);

-- Whether an API key was ever used: the outbox holds the deliveries that it brought. Without a key nothing can confirm
-- the webhooks.
CREATE FUNCTION identity.has_api_key() RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT FROM consumer.outbox WHERE source = 'backfill')
        OR EXISTS (SELECT FROM consumer.outbox WHERE source = 'reconcile');
END
$$;
REVOKE EXECUTE ON FUNCTION identity.has_api_key FROM PUBLIC;
GRANT EXECUTE ON FUNCTION identity.has_api_key TO consumer_app, consumer_tenant, consumer_operator;

-- The living profiles of each active company, counted in their home company. A profile is synced if Stack itself sent a
-- snapshot: its version begins with 1. Without profiles the percentage is null.
CREATE VIEW identity.stack_integration_stats WITH (security_invoker = TRUE) AS
SELECT
    c.id AS company_id,
    c.name AS company_name,
    count(p.user_id) AS total_profiles,
    count(m.stack_user_id) AS synced_profiles,
    round(100.0 * count(m.stack_user_id) / nullif(count(p.user_id), 0), 2) AS sync_percentage,
    min(p.created_at) AS first_profile_created,
    max(p.updated_at) AS last_profile_updated,
    round(avg(m.sync_version), 2) AS avg_sync_version
FROM identity.companies AS c
LEFT JOIN identity.profiles AS p ON c.id = p.company_id AND p.deleted_at IS NULL
LEFT JOIN identity.stack_user_profiles AS m ON p.user_id = m.stack_user_id AND m.version >= '1'
WHERE c.deleted_at IS NULL
GROUP BY c.id, c.name;

-- Living profiles without a snapshot from Stack itself or, if an API key was ever used, without one in the last 24
-- hours. hours_since_sync counts from Stack's newest snapshot, even if it changed nothing; last_synced_at is the time
-- of the last change by a snapshot.
CREATE VIEW identity.profiles_needing_sync WITH (security_invoker = TRUE) AS
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
GRANT SELECT ON
identity.stack_integration_stats, identity.profiles_needing_sync TO consumer_app, consumer_tenant, consumer_operator;

GRANT SELECT (id, name, logo_url, settings, created_at, updated_at, deleted_at)
ON identity.companies TO consumer_tenant;
GRANT SELECT (
    company_id, user_id, joined_at, removed_at, permissions, is_guest
) ON identity.company_members TO consumer_tenant;
GRANT SELECT ON identity.profiles TO consumer_tenant;
-- Who edited a profile, and why, is for the application to tell.
GRANT SELECT (
    id, at, user_id, company_id, operation, changed_fields, previous_values, new_values, source, message_id, seq
) ON identity.profile_audit TO consumer_tenant;
GRANT SELECT (
    stack_user_id, company_id, stack_display_name, stack_primary_email, stack_primary_email_verified,
    stack_profile_image_url, is_anonymous, is_restricted, signed_up_at, last_active_at, last_sign_in_at,
    last_sign_out_at, version, occurred_at, message_id, last_synced_at, sync_version, deleted_at
) ON identity.stack_user_profiles TO consumer_tenant;
GRANT SELECT (version) ON identity.stack_user_profiles TO consumer_app;
GRANT SELECT (source) ON consumer.outbox TO consumer_definer;
GRANT SELECT (id, guest_key, deleted_at) ON identity.companies TO consumer_definer;
GRANT SELECT (company_id, user_id, removed_at, is_guest, search_name)
ON identity.company_members TO consumer_definer;
GRANT SELECT ON identity.profiles TO consumer_definer;
CREATE POLICY definer ON identity.profiles FOR SELECT TO consumer_definer USING (TRUE);

-- The users of the transaction's company with a name that contains this folded text, and their places in the result:
-- first names that begin with it, in order, then the others. The first are a range of two indexes. The others need a
-- walk through the company's entries of both, without its rows: hence SECURITY DEFINER, because the policies read the
-- rows. The caller's policies judge those that are found; for ROWS of a page they look up each.
CREATE FUNCTION identity.current_matches(wanted text, size integer) RETURNS TABLE (user_id uuid, place bigint)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 50 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted_id CONSTANT uuid := identity.current_company_id();
    -- U+10FFFF is the last code point.
    wanted_end CONSTANT text COLLATE "C" := wanted || chr(1114111);
    -- LIKE takes half of the time of position().
    anywhere CONSTANT text := '%' || regexp_replace(wanted, '([\\%_])', '\\\1', 'g') || '%';
    found_count integer;
    more_count integer;
BEGIN
    IF NOT EXISTS (SELECT FROM identity.companies AS c WHERE c.id = wanted_id AND c.deleted_at IS NULL) THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT n.user_id, row_number() OVER (ORDER BY n.search_name, n.user_id)
    FROM (
        (
            SELECT p.user_id, p.search_name
            FROM identity.profiles AS p
            WHERE p.company_id = wanted_id AND p.search_name >= wanted AND p.search_name < wanted_end
            ORDER BY p.search_name, p.user_id
            LIMIT size
        )
        UNION ALL
        (
            SELECT b.user_id, b.search_name
            FROM identity.company_members AS b
            WHERE b.company_id = wanted_id AND b.search_name >= wanted AND b.search_name < wanted_end
            ORDER BY b.search_name, b.user_id
            LIMIT size
        )
    ) AS n
    ORDER BY n.search_name, n.user_id
    LIMIT size;
    GET DIAGNOSTICS found_count = ROW_COUNT;
    IF found_count = size THEN
        RETURN;
    END IF;

    -- The planner takes coalesce() for true of every second row, and walks the index in order. Of LIKE alone it expects
    -- few rows, and would read and sort all of the company.
    RETURN QUERY
    SELECT n.user_id, found_count + row_number() OVER (ORDER BY n.search_name, n.user_id)
    FROM (
        (
            SELECT p.user_id, p.search_name
            FROM identity.profiles AS p
            WHERE p.company_id = wanted_id AND coalesce(p.search_name LIKE anywhere, FALSE)
            ORDER BY p.search_name, p.user_id
            LIMIT size
        )
        UNION ALL
        (
            SELECT b.user_id, b.search_name
            FROM identity.company_members AS b
            WHERE
                b.company_id = wanted_id
                AND b.search_name IS NOT NULL
                AND coalesce(b.search_name LIKE anywhere, FALSE)
            ORDER BY b.search_name, b.user_id
            LIMIT size
        )
    ) AS n
    WHERE NOT (n.search_name >= wanted AND n.search_name < wanted_end)
    ORDER BY n.search_name, n.user_id
    LIMIT size - found_count;
    GET DIAGNOSTICS more_count = ROW_COUNT;

    -- A row that no worker has written has no search name: an application's own, or one that a migration has yet to fill.
    RETURN QUERY
    SELECT p.user_id, size + row_number() OVER (ORDER BY p.user_id)
    FROM identity.profiles AS p
    WHERE
        p.company_id = wanted_id
        AND p.search_name = ''
        AND wanted <> ''
        AND identity.folded(p.full_name) LIKE anywhere
    ORDER BY p.user_id
    LIMIT size - found_count - more_count;
END
$$;
-- Profiles of the transaction's company with a name that contains this text, in any case and with any accents: first
-- names that begin with it, in order, then the others. The empty text matches everybody.
CREATE FUNCTION identity.search_profiles(name text, page_size integer DEFAULT 50) RETURNS SETOF identity.profiles
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT p.*
    FROM identity.current_matches(identity.folded(name), page_size) AS m
    INNER JOIN identity.profiles AS p ON m.user_id = p.user_id
    ORDER BY m.place;
END
$$;
REVOKE EXECUTE ON FUNCTION identity.current_matches FROM PUBLIC;
GRANT EXECUTE ON FUNCTION identity.current_matches TO consumer_tenant, consumer_app;
REVOKE EXECUTE ON FUNCTION identity.search_profiles FROM PUBLIC;
GRANT EXECUTE ON FUNCTION identity.search_profiles TO consumer_tenant, consumer_app;

-- The new owner must be able to create in the schema at the moment it becomes the owner, and only then.
GRANT CREATE ON SCHEMA identity TO consumer_definer;
ALTER FUNCTION identity.is_current_company_active OWNER TO consumer_definer;
ALTER FUNCTION identity.current_guest_key OWNER TO consumer_definer;
ALTER FUNCTION identity.current_guests OWNER TO consumer_definer;
ALTER FUNCTION identity.current_matches OWNER TO consumer_definer;
ALTER FUNCTION identity.current_memberships OWNER TO consumer_definer;
ALTER FUNCTION identity.has_api_key OWNER TO consumer_definer;
REVOKE CREATE ON SCHEMA identity FROM consumer_definer;
