-- What a tenant sees, what an application asks for, and the indexes that serve both.
-- depends: 0003.companies

-- The company that a transaction is for: the one that app.company_id names, while it is active. Null, which equals
-- nothing, where the setting is absent or no UUID. As the definer, for policies on companies that read companies would
-- not end.
CREATE FUNCTION identity.current_company_id() RETURNS uuid
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    named CONSTANT text := current_setting('app.company_id', TRUE);
BEGIN
    IF named ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' THEN
        RETURN (SELECT c.id FROM identity.companies AS c WHERE c.id = named::uuid AND c.deleted_at IS NULL);
    END IF;
    RETURN NULL;
END
$$;
-- The person that a transaction is for: the one that app.user_id names; null where the setting is absent or no UUID.
CREATE FUNCTION identity.current_user_id() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
    WHEN
        current_setting('app.user_id', TRUE) ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'
        THEN current_setting('app.user_id', TRUE)::uuid
END;
REVOKE EXECUTE ON FUNCTION identity.current_company_id, identity.current_user_id FROM PUBLIC;
GRANT EXECUTE ON FUNCTION identity.current_company_id, identity.current_user_id TO consumer_tenant, consumer_app;

-- A name as a search compares it: compatibility forms, accents and case aside, and cut to what an index entry
-- may hold. Which letters have a lower case is for the database's LC_CTYPE to say.
CREATE FUNCTION identity.folded(name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN left(
    CASE
        WHEN octet_length(name) = length(name) THEN lower(name)
        ELSE replace(
            translate(lower(regexp_replace(normalize(name, NFKD), '[\u0300-\u036f]', '', 'g')), 'łøđħŧı', 'lodhti'),
            'ß',
            'ss'
        )
    END,
    256
);
REVOKE EXECUTE ON FUNCTION identity.folded FROM PUBLIC;
GRANT EXECUTE ON FUNCTION identity.folded TO consumer_worker, consumer_app, consumer_tenant;

-- An index on the expression would not serve tenants: what is not LEAKPROOF is only asked of rows that the policies let
-- through, and a column is.
ALTER TABLE identity.profiles
ADD COLUMN search_name text COLLATE "C" NOT NULL GENERATED ALWAYS AS (identity.folded(full_name)) STORED;

-- Whether an active member's home is elsewhere: with those at home in a company, these are all it sees. Policies find
-- both by an index.
ALTER TABLE identity.company_members ADD COLUMN is_guest boolean NOT NULL DEFAULT FALSE;
CREATE INDEX company_members_guests ON identity.company_members (company_id, user_id) WHERE is_guest;

-- An owner that is no superuser sees no row while row-level security is forced on it.
ALTER TABLE identity.company_members NO FORCE ROW LEVEL SECURITY;
ALTER TABLE identity.stack_user_profiles NO FORCE ROW LEVEL SECURITY;
UPDATE identity.company_members AS b
SET is_guest = TRUE
FROM identity.stack_user_profiles AS m
WHERE b.user_id = m.stack_user_id AND b.removed_at IS NULL AND b.company_id IS DISTINCT FROM m.company_id;
ALTER TABLE identity.company_members FORCE ROW LEVEL SECURITY;
ALTER TABLE identity.stack_user_profiles FORCE ROW LEVEL SECURITY;

-- Each context is a sub-select, which is run once, not once a row. No policy reads a table whose policies read its own.
CREATE POLICY tenant ON identity.companies FOR SELECT TO consumer_tenant USING (
    deleted_at IS NULL
    AND (
        id = (SELECT identity.current_company_id())
        OR id = ANY(ARRAY(
            SELECT b.company_id
            FROM identity.company_members AS b
            WHERE b.user_id = (SELECT identity.current_user_id()) AND b.removed_at IS NULL
        ))
    )
);
CREATE POLICY tenant ON identity.company_members FOR SELECT TO consumer_tenant USING (
    removed_at IS NULL
    AND (
        company_id = (SELECT identity.current_company_id())
        OR user_id = (SELECT identity.current_user_id())
    )
);
CREATE POLICY tenant ON identity.profiles FOR SELECT TO consumer_tenant USING (
    deleted_at IS NULL
    AND (
        company_id = (SELECT identity.current_company_id())
        OR user_id = (SELECT identity.current_user_id())
        OR user_id = ANY(ARRAY(
            SELECT b.user_id
            FROM identity.company_members AS b
            WHERE b.company_id = (SELECT identity.current_company_id()) AND b.is_guest
        ))
    )
);
CREATE POLICY tenant ON identity.stack_user_profiles FOR SELECT TO consumer_tenant USING (
    deleted_at IS NULL
    AND has_profile
    AND (
        company_id = (SELECT identity.current_company_id())
        OR stack_user_id = (SELECT identity.current_user_id())
        OR stack_user_id = ANY(ARRAY(
            SELECT b.user_id
            FROM identity.company_members AS b
            WHERE b.company_id = (SELECT identity.current_company_id()) AND b.is_guest
        ))
    )
);
-- What happened to whom the company sees, while it was theirs; another company's rows of the same person stay its own.
CREATE POLICY tenant ON identity.profile_audit FOR SELECT TO consumer_tenant USING (
    company_id = (SELECT identity.current_company_id())
    AND EXISTS (
        SELECT FROM identity.profiles AS p
        WHERE p.user_id = profile_audit.user_id
    )
);
CREATE POLICY definer ON identity.companies FOR SELECT TO consumer_definer USING (TRUE);

GRANT SELECT (id, name, logo_url, settings, created_at, updated_at, deleted_at)
ON identity.companies TO consumer_tenant;
GRANT SELECT ON identity.company_members, identity.profiles, identity.profile_audit TO consumer_tenant;
GRANT SELECT (
    stack_user_id, company_id, stack_display_name, stack_primary_email, stack_primary_email_verified,
    stack_profile_image_url, is_anonymous, is_restricted, signed_up_at, last_active_at, last_sign_in_at,
    last_sign_out_at, version, occurred_at, message_id, last_synced_at, sync_version, deleted_at
) ON identity.stack_user_profiles TO consumer_tenant;
GRANT SELECT (version) ON identity.stack_user_profiles TO consumer_app;
GRANT SELECT (id, deleted_at) ON identity.companies TO consumer_definer;

-- A page of a company in the order of the users' ids.
CREATE INDEX profiles_company_id ON identity.profiles (company_id, user_id) WHERE company_id IS NOT NULL;
-- A company's people by role and by department. An index entry ends at 2.7 kB and either may be as long as the sender
-- likes: longer ones than are of use are left out, and a query that says so too finds the others here.
CREATE INDEX profiles_role_type ON identity.profiles (company_id, role_type, user_id)
WHERE company_id IS NOT NULL AND octet_length(role_type) <= 256;
CREATE INDEX profiles_department ON identity.profiles (company_id, department, user_id)
WHERE company_id IS NOT NULL AND octet_length(department) <= 256;
-- What changed last in a company.
CREATE INDEX profiles_updated_at ON identity.profiles (company_id, updated_at, user_id) WHERE company_id IS NOT NULL;
-- identity.search_profiles.
CREATE INDEX profiles_search_name ON identity.profiles (company_id, search_name, user_id) WHERE company_id IS NOT NULL;

-- Profiles of the company that the transaction is for by a part of their name, whatever its case and accents: first
-- those that begin with it, in the order of the names, then those that have it further inside. The empty name is
-- everybody's. The first are a range of an index, as many as the page holds; the others take a walk along that index
-- through the company.
CREATE FUNCTION identity.search_profiles(name text, page_size integer DEFAULT 50) RETURNS SETOF identity.profiles
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted_id CONSTANT uuid := identity.current_company_id();
    wanted CONSTANT text COLLATE "C" := identity.folded(name);
    -- U+10FFFF is the last code point.
    wanted_end CONSTANT text COLLATE "C" := wanted || chr(1114111);
    found_count integer;
BEGIN
    RETURN QUERY
    SELECT p.*
    FROM identity.profiles AS p
    WHERE p.company_id = wanted_id AND p.deleted_at IS NULL AND p.search_name >= wanted AND p.search_name < wanted_end
    UNION ALL
    SELECT p.*
    FROM identity.company_members AS b
    INNER JOIN identity.profiles AS p ON b.user_id = p.user_id
    WHERE
        b.company_id = wanted_id AND b.is_guest AND p.deleted_at IS NULL
        AND p.search_name >= wanted AND p.search_name < wanted_end
    ORDER BY search_name, user_id
    LIMIT page_size;
    GET DIAGNOSTICS found_count = ROW_COUNT;
    IF found_count >= page_size THEN
        RETURN;
    END IF;

    RETURN QUERY
    SELECT p.*
    FROM identity.profiles AS p
    WHERE p.company_id = wanted_id AND p.deleted_at IS NULL AND position(wanted IN p.search_name) > 1
    UNION ALL
    SELECT p.*
    FROM identity.company_members AS b
    INNER JOIN identity.profiles AS p ON b.user_id = p.user_id
    WHERE
        b.company_id = wanted_id AND b.is_guest AND p.deleted_at IS NULL AND position(wanted IN p.search_name) > 1
    ORDER BY search_name, user_id
    LIMIT page_size - found_count;
END
$$;
REVOKE EXECUTE ON FUNCTION identity.search_profiles FROM PUBLIC;
GRANT EXECUTE ON FUNCTION identity.search_profiles TO consumer_tenant, consumer_app;

-- The new owner must be able to create in the schema at the moment it becomes the owner, and only then.
GRANT CREATE ON SCHEMA identity TO consumer_definer;
ALTER FUNCTION identity.current_company_id OWNER TO consumer_definer;
REVOKE CREATE ON SCHEMA identity FROM consumer_definer;
