--
-- PostgreSQL database dump
--



SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: consumer; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA consumer;


--
-- Name: consumer_masked; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA consumer_masked;


--
-- Name: identity; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA identity;


--
-- Name: app_deliveries(text[], uuid[]); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.app_deliveries(message_ids text[], request_ids uuid[]) RETURNS TABLE(request_id uuid, state text, is_repeat boolean, error_code text, error text, profile jsonb)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS $$
    SELECT
        asked.request_id,
        CASE WHEN d.seq IS NOT NULL THEN 'done' ELSE coalesce(f.state, 'pending') END AS state,
        (asked.request_id = o.request_id) IS NOT TRUE AS is_repeat,
        CASE WHEN asked.request_id = o.request_id THEN f.error_code END AS error_code,
        CASE WHEN asked.request_id = o.request_id THEN f.error END AS error,
        CASE
            WHEN p.user_id IS NOT NULL THEN jsonb_build_object(
                'user_id', p.user_id,
                'company_id', p.company_id,
                'full_name', p.full_name,
                'email', p.email,
                'email_verified', p.email_verified,
                'avatar_url', p.avatar_url,
                'role_type', p.role_type,
                'department', p.department,
                'is_restricted', p.is_restricted,
                'last_active_at', p.last_active_at,
                'last_sign_in_at', p.last_sign_in_at,
                'last_sign_out_at', p.last_sign_out_at,
                'created_at', p.created_at,
                'updated_at', p.updated_at,
                'deleted_at', p.deleted_at
            )
        END AS profile
    FROM unnest(message_ids, request_ids) AS asked (message_id, request_id)
    INNER JOIN consumer.outbox AS o ON asked.message_id = o.message_id AND o.source = 'app'
    LEFT JOIN consumer.outcomes AS d ON o.seq = d.seq
    LEFT JOIN consumer.failures AS f ON o.seq = f.seq
    LEFT JOIN identity.profiles AS p
        ON o.user_id = p.user_id AND asked.request_id = o.request_id AND d.seq IS NOT NULL
$$;


--
-- Name: begin_prune(timestamp with time zone); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.begin_prune(until timestamp with time zone) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF until IS NULL OR until > now() THEN
        RAISE EXCEPTION 'deliveries are removed up to an instant that has passed'
        USING ERRCODE = 'invalid_parameter_value';
    END IF;
    LOCK TABLE consumer.exclusions IN SHARE ROW EXCLUSIVE MODE;
    UPDATE consumer.settings SET pruned_until = until
    WHERE pruned_until IS NULL OR pruned_until < until;
END
$$;


--
-- Name: begin_work(); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.begin_work(OUT oldest_release integer, OUT migration_ids text[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM FROM consumer.settings;
    SELECT
        (SELECT coalesce(max(f.oldest_release), 0) FROM consumer.fence AS f),
        ARRAY(SELECT m.migration_id FROM consumer._yoyo_migration AS m)
    INTO oldest_release, migration_ids;
END
$$;


--
-- Name: company_stripe(uuid); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.company_stripe(id uuid) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN get_byte(uuid_send(id), 15);


--
-- Name: erase_bodies(uuid, bigint[], bytea[], bytea[]); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.erase_bodies(of_user uuid, seqs bigint[], bodies bytea[], reduced_bodies bytea[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    changed_count bigint;
    stored_count bigint;
BEGIN
    IF NOT coalesce(consumer.is_erasure_stored(of_user), FALSE) THEN
        RAISE EXCEPTION 'no erasure of this user is stored' USING ERRCODE = 'insufficient_privilege';
    END IF;

    UPDATE consumer.outbox AS o
    SET body = e.body, reduced = e.reduced
    FROM unnest(seqs, bodies, reduced_bodies) AS e (seq, body, reduced)
    WHERE o.seq = e.seq;
    GET DIAGNOSTICS changed_count = ROW_COUNT;

    SELECT count(*) INTO stored_count FROM consumer.outbox AS o
    WHERE o.seq = ANY(seqs);
    IF changed_count < stored_count THEN
        RAISE EXCEPTION 'only % of % deliveries may be changed', changed_count, stored_count
        USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;


--
-- Name: guest_key(bytea, uuid); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.guest_key(salt bytea, company_id uuid) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (encode(substr(sha256((salt || uuid_send(company_id))), 1, 16), 'hex'::text))::uuid;


--
-- Name: instant(text); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.instant(millis text) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN to_timestamp(((millis)::double precision / (1000)::double precision));


--
-- Name: is_erasure_stored(uuid); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.is_erasure_stored(of_user uuid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT EXISTS (
        SELECT FROM consumer.outbox AS o
        WHERE
            o.source = 'operator'
            AND o.message_id = 'erase:' || of_user
            AND o.event_type = 'user.erased'
            AND o.user_id = of_user
    )
$$;


--
-- Name: is_stored_now(bigint); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.is_stored_now(seq bigint) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN EXISTS (SELECT FROM consumer.outbox AS o WHERE o.seq = is_stored_now.seq AND o.received_at = now());
END
$$;


--
-- Name: message_key(text, text); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.message_key(source text, message_id text) RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (encode(substr(sha256(convert_to(((source || ' '::text) || message_id), 'UTF8'::name)), 1, 16), 'hex'::text))::uuid;


--
-- Name: metadata_id(jsonb, text); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.metadata_id(metadata jsonb, key text) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN ((jsonb_typeof((metadata -> key)) = 'string'::text) AND ((metadata ->> key) ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'::text)) THEN ((metadata ->> key))::uuid ELSE NULL::uuid END;


--
-- Name: trimmed(text); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.trimmed(value text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN btrim(value, ('	

            '::text || '      　'::text));


--
-- Name: metadata_text(jsonb, text); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.metadata_text(metadata jsonb, key text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN ((jsonb_typeof((metadata -> key)) = 'string'::text) AND (consumer.trimmed((metadata ->> key)) <> ''::text)) THEN (metadata ->> key) ELSE NULL::text END;


--
-- Name: pause_work(); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.pause_work() RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    LOCK TABLE consumer.settings IN ACCESS EXCLUSIVE MODE
$$;


--
-- Name: prune(bigint[]); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.prune(seqs bigint[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    removed_count bigint;
BEGIN
    WITH done AS (
        DELETE FROM consumer.outcomes
        WHERE seq = ANY(seqs) AND outcome IN ('applied', 'unchanged', 'stale')
        RETURNING seq
    ),

    removed AS (
        DELETE FROM consumer.outbox AS o
        USING done AS d, consumer.settings AS s
        WHERE o.seq = d.seq AND o.received_at < s.pruned_until AND o.event_type <> 'user.erased'
        RETURNING o.source, o.message_id
    ),

    kept AS (
        INSERT INTO consumer.pruned (key)
        SELECT consumer.message_key(source, message_id) AS key
        FROM removed
        ORDER BY key
        ON CONFLICT DO NOTHING
    )

    SELECT count(*) INTO removed_count FROM removed;
    IF removed_count < cardinality(seqs) THEN
        RAISE EXCEPTION 'only % of % deliveries are done and old', removed_count, cardinality(seqs)
        USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;


--
-- Name: pruned_places(text[], text[]); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.pruned_places(sources text[], message_ids text[]) RETURNS bigint[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
BEGIN
    RETURN ARRAY(
        SELECT m.place
        FROM unnest(sources, message_ids) WITH ORDINALITY AS m (source, message_id, place)
        INNER JOIN consumer.pruned AS p ON consumer.message_key(m.source, m.message_id) = p.key
    );
END
$$;


--
-- Name: pruned_repeats(bigint[]); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.pruned_repeats(seqs bigint[]) RETURNS bigint[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
BEGIN
    -- Most installations never remove any: no delivery is read for that.
    IF NOT EXISTS (SELECT FROM consumer.pruned) THEN
        RETURN '{}';
    END IF;
    RETURN ARRAY(
        SELECT o.seq
        FROM consumer.outbox AS o
        INNER JOIN consumer.pruned AS p ON consumer.message_key(o.source, o.message_id) = p.key
        WHERE o.seq = ANY(seqs)
    );
END
$$;


--
-- Name: reduce_again(bigint[], bytea[], bytea[]); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.reduce_again(seqs bigint[], earlier_bodies bytea[], reduced_bodies bytea[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    changed_count bigint;
BEGIN
    UPDATE consumer.outbox AS o
    SET reduced = r.reduced
    FROM unnest(seqs, earlier_bodies, reduced_bodies) AS r (seq, earlier, reduced)
    INNER JOIN consumer.outcomes AS d ON r.seq = d.seq
    WHERE o.seq = r.seq AND o.reduced = r.earlier;
    GET DIAGNOSTICS changed_count = ROW_COUNT;

    -- An erasure may have changed a body since it was read.
    IF changed_count < cardinality(seqs) THEN
        RAISE EXCEPTION 'only % of % deliveries are done and reduced as before', changed_count, cardinality(seqs)
        USING ERRCODE = 'serialization_failure';
    END IF;
END
$$;


--
-- Name: reduce_late(bigint[], bytea[]); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.reduce_late(seqs bigint[], bodies bytea[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    changed_count bigint;
BEGIN
    UPDATE consumer.outbox AS o
    SET body = e.body, reduced = NULL
    FROM unnest(seqs, bodies) AS e (seq, body)
    WHERE
        o.seq = e.seq
        AND EXISTS (
            SELECT FROM identity.stack_user_profiles AS m
            WHERE m.stack_user_id = o.user_id AND m.is_erased
        );
    GET DIAGNOSTICS changed_count = ROW_COUNT;

    IF changed_count < cardinality(seqs) THEN
        RAISE EXCEPTION 'only % of % deliveries are about an erased user', changed_count, cardinality(seqs)
        USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;


--
-- Name: reread(bigint[], text[], uuid[], uuid[], bytea[]); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.reread(seqs bigint[], event_types text[], user_ids uuid[], team_ids uuid[], reduced_bodies bytea[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    changed_count bigint;
BEGIN
    UPDATE consumer.outbox AS o
    SET event_type = r.event_type, user_id = r.user_id, team_id = r.team_id, reduced = r.reduced
    FROM unnest(seqs, event_types, user_ids, team_ids, reduced_bodies) AS r (
        seq, event_type, user_id, team_id, reduced
    )
    INNER JOIN consumer.failures AS f ON r.seq = f.seq AND f.state = 'dead'
    WHERE o.seq = r.seq;
    GET DIAGNOSTICS changed_count = ROW_COUNT;

    IF changed_count < cardinality(seqs) THEN
        RAISE EXCEPTION 'only % of % deliveries are dead', changed_count, cardinality(seqs)
        USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;


--
-- Name: seq_before(timestamp with time zone); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.seq_before(since timestamp with time zone) RETURNS bigint
    LANGUAGE plpgsql STABLE STRICT
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    low bigint;
    high bigint;
    middle bigint;
    latest timestamptz;
BEGIN
    SELECT coalesce(min(o.seq) - 1, 0), coalesce(max(o.seq), 0) INTO low, high FROM consumer.outbox AS o;
    WHILE low + 1 < high LOOP
        middle := (low + high) / 2;
        SELECT max(n.received_at) INTO latest
        FROM (
            SELECT o.received_at FROM consumer.outbox AS o
            WHERE o.seq >= middle
            ORDER BY o.seq
            LIMIT 100
        ) AS n;
        IF latest < since - interval '5 minutes' THEN
            low := middle;
        ELSE
            high := middle;
        END IF;
    END LOOP;
    RETURN low;
END
$$;


--
-- Name: store_app_event(text, text, timestamp with time zone, jsonb); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.store_app_event(message_id text, event_type text, occurred_at timestamp with time zone, data jsonb) RETURNS text
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    WITH stored AS (
        INSERT INTO consumer.outbox (source, message_id, event_type, user_id, occurred_at, body)
        SELECT
            'app',
            store_app_event.message_id,
            store_app_event.event_type,
            (data ->> 'id')::uuid,
            store_app_event.occurred_at,
            convert_to(jsonb_build_object('type', store_app_event.event_type, 'data', data)::text, 'UTF8')
        WHERE
            CASE
                WHEN EXISTS (SELECT FROM consumer.pruned)
                    THEN consumer.pruned_places(ARRAY['app'], ARRAY[store_app_event.message_id]) = '{}'
                ELSE TRUE
            END
        ON CONFLICT DO NOTHING
        RETURNING seq, outbox.message_id
    ),

    queued AS (
        INSERT INTO consumer.pending (seq)
        SELECT seq FROM stored
    )

    -- The commit of a repeat waits for a synchronous standby too (storage/put): the message never has a null place, so
    -- the repeat gets null.
    SELECT CASE
        WHEN count(*) > 0 THEN max(stored.message_id)
        WHEN pg_logical_emit_message(TRUE, 'consumer', '') IS NULL THEN ''
    END
    FROM stored
$$;


--
-- Name: store_sign_event(text, uuid, timestamp with time zone, text); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.store_sign_event(verb text, user_id uuid, at timestamp with time zone, message_id text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    -- The limits that a signed event has (payloads.MILLIS_MIN, MILLIS_MAX).
    at_min CONSTANT timestamptz := '2000-01-01 00:00:00+00';
    at_max CONSTANT timestamptz := '2100-01-01 00:00:00+00';
    -- Likewise of a message id (standard_webhooks.MESSAGE_ID_CHARACTERS_MAX).
    id_pattern CONSTANT text := '^[!-~]([ -~]{0,254}[!-~])?$';
    data jsonb := jsonb_build_object('id', user_id);
BEGIN
    IF user_id IS NULL OR at NOT BETWEEN at_min AND at_max OR message_id COLLATE "C" !~ id_pattern THEN
        RAISE EXCEPTION 'a sign-% needs a user id, a time from 2000 to 2100 and a message id of visible ASCII', verb
        USING
            ERRCODE = 'invalid_parameter_value',
            HINT = 'Without a time it is now; without a message id of at most 256 characters it gets one of its own.';
    END IF;
    IF at IS NOT NULL THEN
        data := data || jsonb_build_object(
            'signed_' || verb || '_at_millis', floor(extract(EPOCH FROM at) * 1000)::bigint
        );
    END IF;
    RETURN consumer.store_app_event(
        coalesce(message_id, 'signed_' || verb || '_' || gen_random_uuid()),
        'user.signed_' || verb,
        clock_timestamp(),
        data
    );
END
$_$;


--
-- Name: tombstone(timestamp with time zone, timestamp with time zone, timestamp with time zone); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.tombstone(deletion_at timestamp with time zone, missing_at timestamp with time zone, seen_at timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN LEAST(deletion_at, CASE WHEN (missing_at > COALESCE(seen_at, '-infinity'::timestamp with time zone)) THEN missing_at ELSE NULL::timestamp with time zone END);


--
-- Name: version(text, timestamp with time zone, text); Type: FUNCTION; Schema: consumer; Owner: -
--

CREATE FUNCTION consumer.version(source text, occurred_at timestamp with time zone, message_id text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (((((((source <> 'app'::text))::integer)::text || to_char((occurred_at AT TIME ZONE 'UTC'::text), 'YYYYMMDDHH24MISSUS'::text)) || message_id) || ''::text) || source);


--
-- Name: body(bytea); Type: FUNCTION; Schema: consumer_masked; Owner: -
--

CREATE FUNCTION consumer_masked.body(value bytea) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF octet_length(value) <= 100000 THEN
        RETURN consumer_masked.document(convert_from(value, 'UTF8')::jsonb);
    END IF;
    RETURN NULL;
EXCEPTION
    WHEN OTHERS THEN RETURN NULL;
END
$$;


--
-- Name: document(jsonb, text, integer); Type: FUNCTION; Schema: consumer_masked; Owner: -
--

CREATE FUNCTION consumer_masked.document(value jsonb, key text DEFAULT ''::text, depth integer DEFAULT 16) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;


--
-- Name: email(text); Type: FUNCTION; Schema: consumer_masked; Owner: -
--

CREATE FUNCTION consumer_masked.email(value text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (("left"(value, 1) || '•••••'::text) || COALESCE("substring"(value, '@[^@]*$'::text), ''::text));


--
-- Name: hidden(text); Type: FUNCTION; Schema: consumer_masked; Owner: -
--

CREATE FUNCTION consumer_masked.hidden(value text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (value IS NOT NULL) THEN '•••'::text ELSE NULL::text END;


--
-- Name: name(text); Type: FUNCTION; Schema: consumer_masked; Owner: -
--

CREATE FUNCTION consumer_masked.name(value text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (value = ANY (ARRAY['Unknown User'::text, 'Deleted user'::text])) THEN value ELSE regexp_replace("left"(value, 200), '(\S)\S*'::text, '\1•••'::text, 'g'::text) END;


--
-- Name: seq_before(timestamp with time zone); Type: FUNCTION; Schema: consumer_masked; Owner: -
--

CREATE FUNCTION consumer_masked.seq_before(since timestamp with time zone) RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    RETURN consumer.seq_before(since);


--
-- Name: statements(); Type: FUNCTION; Schema: consumer_masked; Owner: -
--

CREATE FUNCTION consumer_masked.statements() RETURNS TABLE(name text, calls bigint, total double precision, longest double precision)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: stack_user_profiles; Type: TABLE; Schema: identity; Owner: -
--

CREATE TABLE identity.stack_user_profiles (
    stack_user_id uuid NOT NULL,
    company_id uuid,
    stack_display_name text,
    stack_primary_email text,
    stack_primary_email_verified boolean,
    stack_profile_image_url text,
    stack_metadata jsonb,
    is_anonymous boolean,
    is_restricted boolean,
    signed_up_at timestamp with time zone,
    source_role text,
    source_department text,
    source_company_id uuid,
    last_active_at timestamp with time zone,
    last_sign_in_at timestamp with time zone,
    last_sign_out_at timestamp with time zone,
    has_profile boolean DEFAULT false NOT NULL,
    is_forgotten boolean DEFAULT false NOT NULL,
    is_held boolean DEFAULT false NOT NULL,
    version text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    occurred_at timestamp with time zone,
    message_id text COLLATE pg_catalog."C",
    last_synced_at timestamp with time zone,
    sync_version bigint DEFAULT 0 NOT NULL,
    deleted_at timestamp with time zone,
    guest_keys uuid[],
    deletion_at timestamp with time zone,
    missing_at timestamp with time zone,
    seen_at timestamp with time zone,
    is_erased boolean DEFAULT false NOT NULL,
    is_removed boolean DEFAULT false NOT NULL,
    CONSTRAINT stack_user_profiles_version CHECK (((version = ''::text) = (message_id IS NULL)))
)
WITH (fillfactor='80');

ALTER TABLE ONLY identity.stack_user_profiles FORCE ROW LEVEL SECURITY;


--
-- Name: users_by_email(text); Type: FUNCTION; Schema: consumer_masked; Owner: -
--

CREATE FUNCTION consumer_masked.users_by_email(address text) RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 1
    SET search_path TO 'pg_catalog', 'pg_temp'
    BEGIN ATOMIC
 SELECT m.stack_user_id
    FROM identity.stack_user_profiles m
   WHERE ((lower(m.stack_primary_email) = lower(users_by_email.address)) AND (octet_length(m.stack_primary_email) <= 320))
   ORDER BY m.stack_user_id;
END;


--
-- Name: written(text); Type: FUNCTION; Schema: consumer_masked; Owner: -
--

CREATE FUNCTION consumer_masked.written(value text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN regexp_replace(value, '[^\s@"]*@'::text, '•••••@'::text, 'g'::text);


--
-- Name: changed_fields(jsonb, jsonb); Type: FUNCTION; Schema: identity; Owner: -
--

CREATE FUNCTION identity.changed_fields(before_image jsonb, after_image jsonb) RETURNS text[]
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN array_remove(ARRAY[CASE WHEN ((before_image ->> 'avatar_url'::text) IS DISTINCT FROM (after_image ->> 'avatar_url'::text)) THEN 'avatar_url'::text ELSE NULL::text END, CASE WHEN ((before_image ->> 'company_id'::text) IS DISTINCT FROM (after_image ->> 'company_id'::text)) THEN 'company_id'::text ELSE NULL::text END, CASE WHEN ((before_image ->> 'deleted_at'::text) IS DISTINCT FROM (after_image ->> 'deleted_at'::text)) THEN 'deleted_at'::text ELSE NULL::text END, CASE WHEN ((before_image ->> 'department'::text) IS DISTINCT FROM (after_image ->> 'department'::text)) THEN 'department'::text ELSE NULL::text END, CASE WHEN ((before_image ->> 'email'::text) IS DISTINCT FROM (after_image ->> 'email'::text)) THEN 'email'::text ELSE NULL::text END, CASE WHEN ((before_image ->> 'email_verified'::text) IS DISTINCT FROM (after_image ->> 'email_verified'::text)) THEN 'email_verified'::text ELSE NULL::text END, CASE WHEN ((before_image ->> 'full_name'::text) IS DISTINCT FROM (after_image ->> 'full_name'::text)) THEN 'full_name'::text ELSE NULL::text END, CASE WHEN ((before_image ->> 'is_restricted'::text) IS DISTINCT FROM (after_image ->> 'is_restricted'::text)) THEN 'is_restricted'::text ELSE NULL::text END, CASE WHEN ((before_image ->> 'role_type'::text) IS DISTINCT FROM (after_image ->> 'role_type'::text)) THEN 'role_type'::text ELSE NULL::text END], NULL::text);


--
-- Name: current_company_id(); Type: FUNCTION; Schema: identity; Owner: -
--

CREATE FUNCTION identity.current_company_id() RETURNS uuid
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
BEGIN
    RETURN CASE
        WHEN
            current_setting('app.company_id', TRUE) ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'
            THEN current_setting('app.company_id', TRUE)::uuid
    END;
END
$_$;


--
-- Name: current_guest_key(); Type: FUNCTION; Schema: identity; Owner: -
--

CREATE FUNCTION identity.current_guest_key() RETURNS uuid
    LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN (
        SELECT c.guest_key
        FROM identity.companies AS c
        WHERE c.id = identity.current_company_id() AND c.deleted_at IS NULL
    );
END
$$;


--
-- Name: current_guests(uuid, text, integer); Type: FUNCTION; Schema: identity; Owner: -
--

CREATE FUNCTION identity.current_guests(after uuid, role_name text, size integer) RETURNS SETOF uuid
    LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


--
-- Name: current_matches(text, integer); Type: FUNCTION; Schema: identity; Owner: -
--

CREATE FUNCTION identity.current_matches(wanted text, size integer) RETURNS TABLE(user_id uuid, place bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 50 PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


--
-- Name: current_memberships(); Type: FUNCTION; Schema: identity; Owner: -
--

CREATE FUNCTION identity.current_memberships() RETURNS uuid[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN ARRAY(
        SELECT b.company_id
        FROM identity.company_members AS b
        WHERE b.user_id = identity.current_user_id() AND b.removed_at IS NULL
    );
END
$$;


--
-- Name: current_user_id(); Type: FUNCTION; Schema: identity; Owner: -
--

CREATE FUNCTION identity.current_user_id() RETURNS uuid
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
BEGIN
    RETURN CASE
        WHEN
            current_setting('app.user_id', TRUE) ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'
            THEN current_setting('app.user_id', TRUE)::uuid
    END;
END
$_$;


--
-- Name: edit_profile(uuid, jsonb); Type: FUNCTION; Schema: identity; Owner: -
--

CREATE FUNCTION identity.edit_profile(user_id uuid, edits jsonb) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    edited_at CONSTANT timestamptz := clock_timestamp();
    edit_id CONSTANT text := 'edit_' || to_char(edited_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')
        || '_' || lpad(nextval('consumer.edit_number')::text, 19, '0');
    -- The limit that a signed event has (payloads.TEXT_MAX).
    text_max CONSTANT integer := 1000000;
    -- Likewise of edited_by and reason (payloads.REMARK_MAX).
    remark_max CONSTANT integer := 1000;
    refused text;
BEGIN
    IF user_id IS NULL OR jsonb_typeof(edits) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'an edit needs a user id and a JSON object' USING ERRCODE = 'invalid_parameter_value';
    END IF;

    SELECT string_agg(e.key, ', ') INTO refused
    FROM jsonb_each(edits) AS e
    WHERE CASE
        WHEN e.key NOT IN ('company_id', 'department', 'role_type', 'edited_by', 'reason') THEN TRUE
        WHEN e.value = 'null' THEN FALSE
        WHEN e.key = 'company_id' THEN consumer.metadata_id(edits, e.key) IS NULL
        ELSE coalesce(length(consumer.metadata_text(edits, e.key)), text_max + 1)
            > CASE WHEN e.key IN ('edited_by', 'reason') THEN remark_max ELSE text_max END
    END;
    IF refused IS NOT NULL THEN
        RAISE EXCEPTION 'not an edit: %', refused USING
            ERRCODE = 'invalid_parameter_value',
            HINT = 'role_type, department, edited_by and reason are text that is not blank, company_id is a UUID; '
                || 'null withdraws. edited_by and reason have at most 1000 characters.';
    END IF;

    RETURN consumer.store_app_event(
        edit_id, 'profile.edited', edited_at, jsonb_build_object('id', edit_profile.user_id) || edits
    );
END
$$;


--
-- Name: folded(text); Type: FUNCTION; Schema: identity; Owner: -
--

CREATE FUNCTION identity.folded(name text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN "left"(CASE WHEN (octet_length(name) = length(name)) THEN lower((name COLLATE "C")) ELSE replace(translate(lower(regexp_replace((NORMALIZE(name, NFKD) COLLATE "C"), '[\u0300-\u036f]'::text, ''::text, 'g'::text)), ((((((((('абвгдежзиклмнопрстуфхцчшщъыьэюя'::text || 'АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ'::text) || 'αβγδεζηθικλμνξοπρστυφχψως'::text) || 'ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ'::text) || 'ĐđĦħıŁłØøŦŧ'::text) || 'ÆÐÞŊŒƏẞ'::text) || 'ЂЄЅІЈЉЊЋЏѠѢѤѦѨѪѬѮѰѲѴѸѺѼѾҀҊҌҎҐҒҔҖҘҚҜҞҠҢҤҦҨҪҬҮҰҲҴҶҸҺҼҾӀӃӅӇӉӋӍӔӘӠӨӶӺӼӾԀԂԄԆԈԊԌԎԐԒԔԖԘ'::text) || 'ԚԜԞԠԢԤԦԨԪԬԮ'::text) || 'ͰͲͶͿϏϘϚϜϞϠϢϤϦϨϪϬϮϷϺϽϾϿ'::text) || 'ԱԲԳԴԵԶԷԸԹԺԻԼԽԾԿՀՁՂՃՄՅՆՇՈՉՊՋՌՍՎՏՐՑՒՓՔՕՖ'::text), ((((((((('абвгдежзиклмнопрстуфхцчшщъыьэюя'::text || 'абвгдежзиклмнопрстуфхцчшщъыьэюя'::text) || 'αβγδεζηθικλμνξοπρστυφχψωσ'::text) || 'αβγδεζηθικλμνξοπρστυφχψω'::text) || 'ddhhilloott'::text) || 'æðþŋœəß'::text) || 'ђєѕіјљњћџѡѣѥѧѩѫѭѯѱѳѵѹѻѽѿҁҋҍҏґғҕҗҙқҝҟҡңҥҧҩҫҭүұҳҵҷҹһҽҿӏӄӆӈӊӌӎӕәӡөӷӻӽӿԁԃԅԇԉԋԍԏԑԓԕԗԙ'::text) || 'ԛԝԟԡԣԥԧԩԫԭԯ'::text) || 'ͱͳͷϳϗϙϛϝϟϡϣϥϧϩϫϭϯϸϻͻͼͽ'::text) || 'աբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆ'::text)), 'ß'::text, 'ss'::text) END, 256);


--
-- Name: has_api_key(); Type: FUNCTION; Schema: identity; Owner: -
--

CREATE FUNCTION identity.has_api_key() RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN EXISTS (SELECT FROM consumer.outbox WHERE source = 'backfill')
        OR EXISTS (SELECT FROM consumer.outbox WHERE source = 'reconcile');
END
$$;


--
-- Name: profiles; Type: TABLE; Schema: identity; Owner: -
--

CREATE TABLE identity.profiles (
    user_id uuid NOT NULL,
    company_id uuid,
    full_name text NOT NULL,
    email text,
    email_verified boolean,
    avatar_url text,
    role_type text NOT NULL,
    department text NOT NULL,
    is_restricted boolean,
    last_active_at timestamp with time zone,
    last_sign_in_at timestamp with time zone,
    last_sign_out_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    search_name text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    guest_keys uuid[]
)
WITH (fillfactor='80');

ALTER TABLE ONLY identity.profiles FORCE ROW LEVEL SECURITY;


--
-- Name: image(identity.profiles); Type: FUNCTION; Schema: identity; Owner: -
--

CREATE FUNCTION identity.image(profile identity.profiles) RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN jsonb_build_object('company_id', (profile).company_id, 'full_name', (profile).full_name, 'email', (profile).email, 'email_verified', (profile).email_verified, 'avatar_url', CASE WHEN (length((profile).avatar_url) <= 2048) THEN (profile).avatar_url ELSE (((('sha256:'::text || encode(sha256(convert_to((profile).avatar_url, 'UTF8'::name)), 'hex'::text)) || ', '::text) || length((profile).avatar_url)) || ' characters'::text) END, 'role_type', (profile).role_type, 'department', (profile).department, 'is_restricted', (profile).is_restricted, 'deleted_at', ((to_jsonb(((profile).deleted_at AT TIME ZONE 'UTC'::text)) #>> '{}'::text[]) || '+00:00'::text));


--
-- Name: is_current_company_active(); Type: FUNCTION; Schema: identity; Owner: -
--

CREATE FUNCTION identity.is_current_company_active() RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM identity.companies AS c
        WHERE c.id = identity.current_company_id() AND c.deleted_at IS NULL
    );
END
$$;


--
-- Name: is_newer(identity.stack_user_profiles, identity.stack_user_profiles); Type: FUNCTION; Schema: identity; Owner: -
--

CREATE FUNCTION identity.is_newer(offered identity.stack_user_profiles, known identity.stack_user_profiles) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (((offered).version > (known).version) OR (LEAST((offered).deletion_at, (known).deletion_at) IS DISTINCT FROM (known).deletion_at) OR (GREATEST((offered).missing_at, (known).missing_at) IS DISTINCT FROM (known).missing_at) OR (GREATEST((offered).seen_at, (known).seen_at) IS DISTINCT FROM (known).seen_at) OR ((NOT (known).is_forgotten) AND ((GREATEST((offered).last_active_at, (known).last_active_at) IS DISTINCT FROM (known).last_active_at) OR (GREATEST((offered).last_sign_in_at, (known).last_sign_in_at) IS DISTINCT FROM (known).last_sign_in_at) OR (GREATEST((offered).last_sign_out_at, (known).last_sign_out_at) IS DISTINCT FROM (known).last_sign_out_at))));


--
-- Name: is_news(identity.stack_user_profiles, identity.stack_user_profiles); Type: FUNCTION; Schema: identity; Owner: -
--

CREATE FUNCTION identity.is_news(offered identity.stack_user_profiles, known identity.stack_user_profiles) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (((offered).has_profile > (known).has_profile) OR ((offered).is_erased > (known).is_erased) OR (consumer.tombstone(LEAST((offered).deletion_at, (known).deletion_at), GREATEST((offered).missing_at, (known).missing_at), GREATEST((offered).seen_at, (known).seen_at)) IS DISTINCT FROM (known).deleted_at) OR (((offered).version > (known).version) AND (NOT (known).is_forgotten) AND (((offered).stack_display_name IS DISTINCT FROM (known).stack_display_name) OR ((offered).stack_primary_email IS DISTINCT FROM (known).stack_primary_email) OR ((offered).stack_primary_email_verified IS DISTINCT FROM (known).stack_primary_email_verified) OR ((offered).stack_profile_image_url IS DISTINCT FROM (known).stack_profile_image_url) OR ((offered).stack_metadata IS DISTINCT FROM (known).stack_metadata) OR ((offered).is_anonymous IS DISTINCT FROM (known).is_anonymous) OR ((offered).is_restricted IS DISTINCT FROM (known).is_restricted) OR ((offered).signed_up_at IS DISTINCT FROM (known).signed_up_at) OR ((offered).source_role IS DISTINCT FROM (known).source_role) OR ((offered).source_department IS DISTINCT FROM (known).source_department) OR ((offered).source_company_id IS DISTINCT FROM (known).source_company_id))));


--
-- Name: last_scan_at(); Type: FUNCTION; Schema: identity; Owner: -
--

CREATE FUNCTION identity.last_scan_at() RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


--
-- Name: prune_audit(timestamp with time zone, interval); Type: FUNCTION; Schema: identity; Owner: -
--

CREATE FUNCTION identity.prune_audit(before timestamp with time zone, step interval, OUT removed bigint, OUT reached timestamp with time zone) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    since timestamptz;
    found_count bigint;
BEGIN
    IF before IS NULL OR step IS NULL THEN
        RAISE EXCEPTION 'a slice of the audit needs an instant and a length' USING ERRCODE = 'invalid_parameter_value';
    END IF;

    SELECT audited_since INTO STRICT since FROM consumer.settings FOR UPDATE;
    IF since IS NULL THEN
        SELECT min(a.at) INTO since FROM identity.profile_audit AS a;
    END IF;
    reached := greatest(since, least(before, now(), since + step));

    SELECT count(*) INTO found_count FROM identity.profile_audit WHERE at >= since AND at < reached;
    DELETE FROM identity.profile_audit WHERE at >= since AND at < reached;
    GET DIAGNOSTICS removed = ROW_COUNT;
    IF removed < found_count THEN
        RAISE EXCEPTION 'removed % of % audit rows', removed, found_count USING ERRCODE = 'insufficient_privilege';
    END IF;
    UPDATE consumer.settings SET audited_since = reached;
END
$$;


--
-- Name: scrub_audit(uuid[]); Type: FUNCTION; Schema: identity; Owner: -
--

CREATE FUNCTION identity.scrub_audit(user_ids uuid[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


--
-- Name: search_profiles(text, integer); Type: FUNCTION; Schema: identity; Owner: -
--

CREATE FUNCTION identity.search_profiles(name text, page_size integer DEFAULT 50) RETURNS SETOF identity.profiles
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN QUERY
    SELECT p.*
    FROM identity.current_matches(identity.folded(name), page_size) AS m
    INNER JOIN identity.profiles AS p ON m.user_id = p.user_id
    ORDER BY m.place;
END
$$;


--
-- Name: sign_in(uuid, timestamp with time zone, text); Type: FUNCTION; Schema: identity; Owner: -
--

CREATE FUNCTION identity.sign_in(user_id uuid, at timestamp with time zone DEFAULT NULL::timestamp with time zone, message_id text DEFAULT NULL::text) RETURNS text
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT consumer.store_sign_event('in', user_id, at, message_id)
$$;


--
-- Name: sign_out(uuid, timestamp with time zone, text); Type: FUNCTION; Schema: identity; Owner: -
--

CREATE FUNCTION identity.sign_out(user_id uuid, at timestamp with time zone DEFAULT NULL::timestamp with time zone, message_id text DEFAULT NULL::text) RETURNS text
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT consumer.store_sign_event('out', user_id, at, message_id)
$$;


--
-- Name: unconfirmed_users(uuid[]); Type: FUNCTION; Schema: identity; Owner: -
--

CREATE FUNCTION identity.unconfirmed_users(of_users uuid[]) RETURNS SETOF uuid
    LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


--
-- Name: _yoyo_log; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer._yoyo_log (
    id character varying(36) NOT NULL,
    migration_hash character varying(64),
    migration_id character varying(255),
    operation character varying(10),
    username character varying(255),
    hostname character varying(255),
    comment character varying(255),
    created_at_utc timestamp without time zone
);


--
-- Name: _yoyo_migration; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer._yoyo_migration (
    migration_hash character varying(64) NOT NULL,
    migration_id character varying(255),
    applied_at_utc timestamp without time zone
);


--
-- Name: _yoyo_record; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer._yoyo_record (
    migration_id text NOT NULL,
    content_hash text NOT NULL,
    next_step integer,
    page text
);


--
-- Name: _yoyo_version; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer._yoyo_version (
    version integer NOT NULL,
    installed_at_utc timestamp without time zone
);


--
-- Name: actions; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.actions (
    id uuid NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL,
    via text NOT NULL,
    role text NOT NULL,
    action text NOT NULL,
    filter jsonb DEFAULT '{}'::jsonb NOT NULL,
    seen_count bigint,
    affected bigint DEFAULT 0 NOT NULL,
    reason text,
    CONSTRAINT actions_action CHECK (((length(action) >= 1) AND (length(action) <= 64))),
    CONSTRAINT actions_actor CHECK (((length(actor) >= 1) AND (length(actor) <= 256))),
    CONSTRAINT actions_reason CHECK ((length(reason) <= 1000)),
    CONSTRAINT actions_role CHECK ((role = ANY (ARRAY['viewer'::text, 'operator'::text]))),
    CONSTRAINT actions_via CHECK ((via = ANY (ARRAY['cli'::text, 'console'::text])))
);


--
-- Name: activity; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.activity (
    id boolean DEFAULT true NOT NULL,
    mark_millis bigint,
    sweep_id uuid NOT NULL,
    cursor text,
    cursor_millis bigint,
    newest_millis bigint,
    CONSTRAINT activity_is_one_row CHECK (id)
);


--
-- Name: background; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.background (
    id uuid NOT NULL,
    begun_at timestamp with time zone DEFAULT now() NOT NULL,
    stepped_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    place jsonb DEFAULT '{}'::jsonb NOT NULL,
    result jsonb DEFAULT '{}'::jsonb NOT NULL,
    error text,
    CONSTRAINT background_error CHECK ((length(error) <= 1000))
);


--
-- Name: exclusions; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.exclusions (
    seq bigint NOT NULL,
    excluded_by text NOT NULL,
    reason text NOT NULL,
    excluded_at timestamp with time zone DEFAULT now() NOT NULL
);


--
-- Name: failures; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.failures (
    seq bigint NOT NULL,
    state text NOT NULL,
    attempts integer NOT NULL,
    next_attempt_at timestamp with time zone,
    error_code text NOT NULL,
    error text NOT NULL,
    failed_at timestamp with time zone DEFAULT now() NOT NULL,
    source text,
    event_type text,
    CONSTRAINT failures_attempts CHECK ((attempts >= 0)),
    CONSTRAINT failures_due_while_retrying CHECK (((state = 'retrying'::text) = (next_attempt_at IS NOT NULL))),
    CONSTRAINT failures_state CHECK ((state = ANY (ARRAY['retrying'::text, 'dead'::text])))
);


--
-- Name: outbox; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.outbox (
    seq bigint NOT NULL,
    source text NOT NULL,
    message_id text NOT NULL COLLATE pg_catalog."C",
    event_type text,
    user_id uuid,
    team_id uuid,
    occurred_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    verified_by text,
    body bytea NOT NULL,
    reduced bytea,
    request_id uuid,
    CONSTRAINT outbox_message_id_length CHECK ((length(message_id) <= 256)),
    CONSTRAINT outbox_occurred_at CHECK (((occurred_at >= '1970-01-01 00:00:00+00'::timestamp with time zone) AND (occurred_at <= (now() + '24:00:00'::interval)))),
    CONSTRAINT outbox_source CHECK ((source = ANY (ARRAY['stack'::text, 'app'::text, 'backfill'::text, 'reconcile'::text, 'operator'::text])))
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='100000');


--
-- Name: outcomes; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.outcomes (
    seq bigint NOT NULL,
    outcome text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT outcomes_outcome CHECK ((outcome = ANY (ARRAY['applied'::text, 'unchanged'::text, 'stale'::text, 'ignored'::text, 'discarded'::text])))
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='100000');


--
-- Name: pending; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.pending (
    seq bigint NOT NULL,
    has_failed boolean DEFAULT false NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='10000');


--
-- Name: deliveries; Type: VIEW; Schema: consumer; Owner: -
--

CREATE VIEW consumer.deliveries WITH (security_invoker='true') AS
 SELECT o.seq,
    o.source,
    o.message_id,
    o.event_type,
    o.user_id,
    o.team_id,
    o.occurred_at,
    o.received_at,
    'pending'::text AS state,
    0 AS attempts,
    o.received_at AS next_attempt_at,
    NULL::text AS outcome,
    NULL::text AS error_code,
    NULL::text AS error
   FROM (consumer.pending p
     JOIN consumer.outbox o ON ((p.seq = o.seq)))
UNION ALL
 SELECT o.seq,
    o.source,
    o.message_id,
    o.event_type,
    o.user_id,
    o.team_id,
    o.occurred_at,
    o.received_at,
    f.state,
    f.attempts,
    f.next_attempt_at,
    NULL::text AS outcome,
    f.error_code,
    f.error
   FROM (consumer.failures f
     JOIN consumer.outbox o ON ((f.seq = o.seq)))
UNION ALL
 SELECT o.seq,
    o.source,
    o.message_id,
    o.event_type,
    o.user_id,
    o.team_id,
    o.occurred_at,
    o.received_at,
    'done'::text AS state,
    0 AS attempts,
    NULL::timestamp with time zone AS next_attempt_at,
    d.outcome,
    NULL::text AS error_code,
    e.reason AS error
   FROM ((consumer.outcomes d
     JOIN consumer.outbox o ON ((d.seq = o.seq)))
     LEFT JOIN consumer.exclusions e ON ((d.seq = e.seq)));


--
-- Name: edit_number; Type: SEQUENCE; Schema: consumer; Owner: -
--

CREATE SEQUENCE consumer.edit_number
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: edits; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.edits (
    user_id uuid NOT NULL,
    field text NOT NULL,
    value text,
    version text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL,
    CONSTRAINT edits_field CHECK ((field = ANY (ARRAY['company_id'::text, 'department'::text, 'role_type'::text])))
)
WITH (fillfactor='90');


--
-- Name: fence; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.fence (
    migration integer NOT NULL,
    oldest_release integer NOT NULL,
    CONSTRAINT fence_oldest_release CHECK (((oldest_release >= 1) AND (oldest_release <= migration)))
);


--
-- Name: hours; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.hours (
    source text NOT NULL,
    hour timestamp with time zone NOT NULL,
    n bigint NOT NULL,
    CONSTRAINT hours_n CHECK ((n > 0))
);


--
-- Name: maintenance; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.maintenance (
    job text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    due_at timestamp with time zone NOT NULL,
    counts jsonb DEFAULT '{}'::jsonb NOT NULL,
    remark text,
    error text,
    place jsonb,
    CONSTRAINT maintenance_error CHECK ((length(error) <= 1000)),
    CONSTRAINT maintenance_job CHECK ((job <> ''::text)),
    CONSTRAINT maintenance_remark CHECK ((length(remark) <= 1000))
);


--
-- Name: memberships; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.memberships (
    user_id uuid NOT NULL,
    company_id uuid NOT NULL,
    joined_at timestamp with time zone,
    join_version text NOT NULL COLLATE pg_catalog."C",
    removal_version text NOT NULL COLLATE pg_catalog."C",
    removed_at timestamp with time zone,
    is_implied boolean NOT NULL,
    CONSTRAINT memberships_join CHECK (((joined_at IS NOT NULL) OR ((join_version = ''::text) AND (NOT is_implied)))),
    CONSTRAINT memberships_removal CHECK (((removal_version = ''::text) = (removed_at IS NULL)))
)
WITH (fillfactor='90');


--
-- Name: origin; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.origin (
    id boolean DEFAULT true NOT NULL,
    server text NOT NULL,
    database_oid bigint NOT NULL,
    database_name text NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT origin_is_one_row CHECK (id)
);


--
-- Name: outbox_seq_seq; Type: SEQUENCE; Schema: consumer; Owner: -
--

ALTER TABLE consumer.outbox ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME consumer.outbox_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: past_exclusions; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.past_exclusions (
    seq bigint NOT NULL,
    excluded_by text NOT NULL,
    reason text NOT NULL,
    excluded_at timestamp with time zone NOT NULL,
    taken_back_by text NOT NULL,
    taken_back_reason text NOT NULL,
    taken_back_at timestamp with time zone DEFAULT now() NOT NULL
);


--
-- Name: project; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.project (
    id boolean DEFAULT true NOT NULL,
    project_id text NOT NULL,
    pinned_at timestamp with time zone DEFAULT now() NOT NULL,
    endpoint_url text,
    CONSTRAINT project_id CHECK ((project_id <> ''::text)),
    CONSTRAINT project_is_one_row CHECK (id)
);


--
-- Name: pruned; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.pruned (
    key uuid NOT NULL
);


--
-- Name: rebuild; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.rebuild (
    stage smallint NOT NULL,
    id uuid NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    due_at timestamp with time zone DEFAULT now() NOT NULL,
    error text,
    CONSTRAINT rebuild_stage CHECK (((stage >= 1) AND (stage <= 3)))
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='10000');


--
-- Name: rehome; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.rehome (
    id bigint NOT NULL,
    company_id uuid NOT NULL,
    next_user_id uuid DEFAULT '00000000-0000-0000-0000-000000000000'::uuid NOT NULL,
    last_user_id uuid DEFAULT 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    due_at timestamp with time zone DEFAULT now() NOT NULL,
    seq bigint NOT NULL
);


--
-- Name: queue_stats; Type: VIEW; Schema: consumer; Owner: -
--

CREATE VIEW consumer.queue_stats WITH (security_invoker='true') AS
 SELECT ((( SELECT count(*) AS count
           FROM consumer.pending) + ( SELECT count(*) AS count
           FROM consumer.rehome)) + ( SELECT count(*) AS count
           FROM consumer.rebuild)) AS pending,
    ( SELECT count(*) AS count
           FROM consumer.failures
          WHERE (failures.state = 'retrying'::text)) AS retrying,
    ( SELECT count(*) AS count
           FROM consumer.failures
          WHERE (failures.state = 'dead'::text)) AS dead,
    ( SELECT count(*) AS count
           FROM consumer.outcomes) AS done,
    COALESCE((EXTRACT(epoch FROM (now() - LEAST(( SELECT o.received_at
           FROM consumer.outbox o
          WHERE (o.seq = ( SELECT min(p.seq) AS min
                   FROM consumer.pending p))), ( SELECT min(f.next_attempt_at) AS min
           FROM consumer.failures f
          WHERE ((f.state = 'retrying'::text) AND (f.next_attempt_at <= now()))), ( SELECT min(r.due_at) AS min
           FROM consumer.rehome r
          WHERE (r.due_at <= now()))))))::double precision, (0)::double precision) AS oldest_due_seconds,
    ( SELECT count(*) AS count
           FROM consumer.outbox
          WHERE ((outbox.seq > consumer.seq_before((now() - '00:01:00'::interval))) AND (outbox.received_at > (now() - '00:01:00'::interval)))) AS received_last_minute,
    ( SELECT count(*) AS count
           FROM consumer.outcomes
          WHERE ((outcomes.at > (now() - '00:01:00'::interval)) AND (outcomes.outcome = ANY (ARRAY['applied'::text, 'unchanged'::text, 'stale'::text, 'ignored'::text])))) AS applied_last_minute;


--
-- Name: rehome_id_seq; Type: SEQUENCE; Schema: consumer; Owner: -
--

ALTER TABLE consumer.rehome ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME consumer.rehome_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: reports; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.reports (
    at timestamp with time zone DEFAULT now() NOT NULL,
    process_id uuid NOT NULL,
    duty text DEFAULT 'receiver'::text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    release text NOT NULL,
    clock_skew_seconds double precision NOT NULL,
    next_at timestamp with time zone,
    sources text[] DEFAULT '{}'::text[] NOT NULL,
    paused_by text,
    counters jsonb DEFAULT '{}'::jsonb NOT NULL,
    histograms jsonb DEFAULT '{}'::jsonb NOT NULL,
    findings jsonb,
    CONSTRAINT reports_clock_skew_seconds CHECK ((abs(clock_skew_seconds) <= ('10000000000'::numeric)::double precision)),
    CONSTRAINT reports_counters CHECK ((NOT jsonb_path_exists(counters, 'strict $.*?(((@.type() != "number" || @ < 0) || @ > 1000000000000) || @ != @.floor())'::jsonpath))),
    CONSTRAINT reports_duty CHECK ((duty = ANY (ARRAY['receiver'::text, 'worker'::text, 'maintenance'::text, 'console'::text]))),
    CONSTRAINT reports_histograms CHECK ((NOT jsonb_path_exists(histograms, 'strict $.*[*]?(((@.type() != "number" || @ < 0) || @ > 1000000000000) || @ != @.floor())'::jsonpath))),
    CONSTRAINT reports_host CHECK ((length(host) <= 255)),
    CONSTRAINT reports_next_at CHECK (((next_at - at) <= '1 day'::interval)),
    CONSTRAINT reports_paused_by CHECK ((length(paused_by) <= 1000)),
    CONSTRAINT reports_release CHECK ((length(release) <= 100)),
    CONSTRAINT reports_sources CHECK ((sources <@ '{stack,app}'::text[]))
);


--
-- Name: run_repairs; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.run_repairs (
    run_id uuid NOT NULL,
    kind text NOT NULL,
    repaired bigint NOT NULL,
    CONSTRAINT run_repairs_kind CHECK ((kind <> ''::text))
);


--
-- Name: run_teams; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.run_teams (
    run_id uuid NOT NULL,
    team_id uuid NOT NULL
);


--
-- Name: runs; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.runs (
    id uuid NOT NULL,
    kind text NOT NULL,
    project_id text NOT NULL,
    stage text NOT NULL,
    restarts integer DEFAULT 0 NOT NULL,
    cursor text,
    cursor_millis bigint,
    newest_millis bigint,
    listed_at timestamp with time zone,
    users bigint DEFAULT 0 NOT NULL,
    teams bigint DEFAULT 0 NOT NULL,
    memberships bigint DEFAULT 0 NOT NULL,
    permissions bigint DEFAULT 0 NOT NULL,
    stored bigint DEFAULT 0 NOT NULL,
    unusable bigint DEFAULT 0 NOT NULL,
    calls bigint DEFAULT 0 NOT NULL,
    begun_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    abandoned_at timestamp with time zone,
    CONSTRAINT runs_end CHECK (((finished_at IS NULL) OR (abandoned_at IS NULL))),
    CONSTRAINT runs_kind CHECK ((kind = ANY (ARRAY['backfill'::text, 'reconcile'::text]))),
    CONSTRAINT runs_project_id CHECK ((project_id <> ''::text)),
    CONSTRAINT runs_stage CHECK ((stage = ANY (ARRAY['users'::text, 'teams'::text, 'members'::text])))
);


--
-- Name: settings; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.settings (
    id boolean DEFAULT true NOT NULL,
    default_company_id uuid,
    default_role text NOT NULL,
    default_department text NOT NULL,
    role_key text NOT NULL,
    department_key text NOT NULL,
    company_key text NOT NULL,
    delete_policy text NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    guest_salt bytea DEFAULT (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) NOT NULL,
    audited_since timestamp with time zone,
    pruned_until timestamp with time zone,
    CONSTRAINT settings_delete_policy CHECK ((delete_policy = ANY (ARRAY['soft'::text, 'anonymise'::text, 'hard'::text]))),
    CONSTRAINT settings_is_one_row CHECK (id)
);


--
-- Name: suspects; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.suspects (
    run_id uuid NOT NULL,
    kind text NOT NULL,
    team_id uuid,
    user_id uuid,
    permission_id text,
    asked_at timestamp with time zone,
    confirmed_at timestamp with time zone,
    CONSTRAINT suspects_confirmed CHECK (((confirmed_at IS NULL) OR (asked_at IS NOT NULL))),
    CONSTRAINT suspects_kind CHECK ((kind = ANY (ARRAY['undeleted_user'::text, 'undeleted_team'::text, 'extra_membership'::text, 'extra_permission'::text, 'revived_user'::text, 'revived_team'::text, 'listed_user'::text, 'listed_team'::text])))
);


--
-- Name: team_permissions; Type: TABLE; Schema: consumer; Owner: -
--

CREATE TABLE consumer.team_permissions (
    user_id uuid NOT NULL,
    company_id uuid NOT NULL,
    permission_id text NOT NULL COLLATE pg_catalog."C",
    version text NOT NULL COLLATE pg_catalog."C",
    is_present boolean NOT NULL
);


--
-- Name: actions; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.actions AS
 SELECT id,
    at,
    actor,
    via,
    role,
    action,
    (consumer_masked.written((filter)::text))::jsonb AS filter,
    seen_count,
    affected,
    consumer_masked.written(reason) AS reason
   FROM consumer.actions a;


--
-- Name: profile_audit; Type: TABLE; Schema: identity; Owner: -
--

CREATE TABLE identity.profile_audit (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    user_id uuid NOT NULL,
    company_id uuid,
    operation text NOT NULL,
    changed_fields text[] DEFAULT '{}'::text[] NOT NULL,
    previous_values jsonb,
    new_values jsonb,
    source text NOT NULL,
    message_id text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL,
    edited_by text,
    reason text
);

ALTER TABLE ONLY identity.profile_audit FORCE ROW LEVEL SECURITY;


--
-- Name: audit; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.audit AS
 SELECT id,
    at,
    user_id,
    company_id,
    operation,
    changed_fields,
    consumer_masked.document(previous_values) AS previous_values,
    consumer_masked.document(new_values) AS new_values,
    source,
    message_id,
    seq,
    consumer_masked.hidden(edited_by) AS edited_by,
    consumer_masked.hidden(reason) AS reason
   FROM identity.profile_audit a;


--
-- Name: background; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.background AS
 SELECT id,
    begun_at,
    stepped_at,
    finished_at,
    place,
    result,
    error
   FROM consumer.background b;


--
-- Name: bodies; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.bodies AS
 SELECT seq,
    COALESCE(consumer_masked.body(body), consumer_masked.body(reduced)) AS body,
    octet_length(body) AS bytes
   FROM consumer.outbox o;


--
-- Name: companies; Type: TABLE; Schema: identity; Owner: -
--

CREATE TABLE identity.companies (
    id uuid NOT NULL,
    name text DEFAULT 'Unnamed team'::text NOT NULL,
    logo_url text,
    settings jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    version text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    guest_key uuid DEFAULT gen_random_uuid() NOT NULL,
    deletion_at timestamp with time zone,
    missing_at timestamp with time zone,
    seen_at timestamp with time zone
);

ALTER TABLE ONLY identity.companies FORCE ROW LEVEL SECURITY;


--
-- Name: company_members; Type: TABLE; Schema: identity; Owner: -
--

CREATE TABLE identity.company_members (
    company_id uuid NOT NULL,
    user_id uuid NOT NULL,
    joined_at timestamp with time zone,
    removed_at timestamp with time zone,
    permissions text[] DEFAULT '{}'::text[] NOT NULL,
    is_guest boolean DEFAULT false NOT NULL,
    search_name text COLLATE pg_catalog."C",
    CONSTRAINT company_members_search_name CHECK ((is_guest OR (search_name IS NULL)))
)
WITH (fillfactor='90');

ALTER TABLE ONLY identity.company_members FORCE ROW LEVEL SECURITY;


--
-- Name: companies; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.companies AS
 SELECT id,
        CASE
            WHEN (( SELECT count(*) AS count
               FROM ( SELECT
                       FROM identity.company_members b
                      WHERE (b.company_id = c.id)
                      ORDER BY b.user_id
                     LIMIT 2) members) = 2) THEN name
            ELSE consumer_masked.name(name)
        END AS name,
    created_at,
    updated_at,
    deleted_at,
    version,
    deletion_at,
    missing_at,
    seen_at
   FROM identity.companies c;


--
-- Name: company_members; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.company_members AS
 SELECT company_id,
    user_id,
    joined_at,
    removed_at,
    permissions,
    is_guest
   FROM identity.company_members b;


--
-- Name: deliveries; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.deliveries AS
 SELECT o.seq,
    o.source,
    o.message_id,
    o.event_type,
    o.user_id,
    o.team_id,
    o.occurred_at,
    o.received_at,
        CASE
            WHEN (d.seq IS NOT NULL) THEN 'done'::text
            WHEN (f.seq IS NOT NULL) THEN f.state
            WHEN (p.seq IS NOT NULL) THEN 'pending'::text
            ELSE NULL::text
        END AS state,
    COALESCE(f.attempts, 0) AS attempts,
        CASE
            WHEN (d.seq IS NULL) THEN COALESCE(f.next_attempt_at,
            CASE
                WHEN (f.seq IS NULL) THEN o.received_at
                ELSE NULL::timestamp with time zone
            END)
            ELSE NULL::timestamp with time zone
        END AS next_attempt_at,
    d.outcome,
    d.at AS done_at,
    f.failed_at,
    f.error_code,
    COALESCE(f.error, consumer_masked.written(e.reason)) AS error
   FROM ((((consumer.outbox o
     LEFT JOIN consumer.outcomes d ON ((o.seq = d.seq)))
     LEFT JOIN consumer.failures f ON ((o.seq = f.seq)))
     LEFT JOIN consumer.pending p ON ((o.seq = p.seq)))
     LEFT JOIN consumer.exclusions e ON ((o.seq = e.seq)));


--
-- Name: edits; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.edits AS
 SELECT user_id,
    field,
    value,
    version,
    seq
   FROM consumer.edits e;


--
-- Name: exclusions; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.exclusions AS
 SELECT seq,
    excluded_by,
    consumer_masked.written(reason) AS reason,
    excluded_at
   FROM consumer.exclusions e;


--
-- Name: failures; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.failures AS
 SELECT seq,
    state,
    attempts,
    next_attempt_at,
    error_code,
    error,
    failed_at,
    COALESCE(source, ( SELECT o.source
           FROM consumer.outbox o
          WHERE (o.seq = f.seq))) AS source,
        CASE
            WHEN (source IS NOT NULL) THEN event_type
            ELSE ( SELECT o.event_type
               FROM consumer.outbox o
              WHERE (o.seq = f.seq))
        END AS event_type
   FROM consumer.failures f;


--
-- Name: fence; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.fence AS
 SELECT migration,
    oldest_release
   FROM consumer.fence f;


--
-- Name: hours; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.hours AS
 SELECT source,
    hour,
    n
   FROM consumer.hours h;


--
-- Name: maintenance; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.maintenance AS
 SELECT job,
    started_at,
    ended_at,
    due_at,
    counts,
    remark,
    error
   FROM consumer.maintenance m;


--
-- Name: memberships; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.memberships AS
 SELECT user_id,
    company_id,
    joined_at,
    join_version,
    removal_version,
    removed_at,
    is_implied
   FROM consumer.memberships m;


--
-- Name: migrations; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.migrations AS
 SELECT migration_id,
    applied_at_utc
   FROM consumer._yoyo_migration m;


--
-- Name: mirror; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.mirror AS
 SELECT stack_user_id,
    company_id,
    consumer_masked.name(stack_display_name) AS stack_display_name,
    consumer_masked.email(stack_primary_email) AS stack_primary_email,
    stack_primary_email_verified,
    consumer_masked.hidden(stack_profile_image_url) AS stack_profile_image_url,
    is_anonymous,
    is_restricted,
    signed_up_at,
    source_role,
    source_department,
    source_company_id,
    last_active_at,
    last_sign_in_at,
    last_sign_out_at,
    has_profile,
    is_forgotten,
    is_held,
    is_erased,
    is_removed,
    version,
    occurred_at,
    message_id,
    last_synced_at,
    sync_version,
    deleted_at,
    deletion_at,
    missing_at,
    seen_at
   FROM identity.stack_user_profiles m;


--
-- Name: outbox; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.outbox AS
 SELECT seq,
    source,
    message_id,
    event_type,
    user_id,
    team_id,
    occurred_at,
    received_at,
    verified_by
   FROM consumer.outbox o;


--
-- Name: outcomes; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.outcomes AS
 SELECT seq,
    outcome,
    at
   FROM consumer.outcomes d;


--
-- Name: past_exclusions; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.past_exclusions AS
 SELECT seq,
    excluded_by,
    consumer_masked.written(reason) AS reason,
    excluded_at,
    taken_back_by,
    consumer_masked.written(taken_back_reason) AS taken_back_reason,
    taken_back_at
   FROM consumer.past_exclusions e;


--
-- Name: pending; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.pending AS
 SELECT seq,
    has_failed
   FROM consumer.pending p;


--
-- Name: profiles; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.profiles AS
 SELECT user_id,
    company_id,
    consumer_masked.name(full_name) AS full_name,
    consumer_masked.email(email) AS email,
    email_verified,
    consumer_masked.hidden(avatar_url) AS avatar_url,
    role_type,
    department,
    is_restricted,
    last_active_at,
    last_sign_in_at,
    last_sign_out_at,
    created_at,
    updated_at,
    deleted_at
   FROM identity.profiles p;


--
-- Name: project; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.project AS
 SELECT project_id,
    pinned_at,
    endpoint_url
   FROM consumer.project p;


--
-- Name: queue_stats; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.queue_stats AS
 SELECT ((( SELECT count(*) AS count
           FROM consumer.pending) + ( SELECT count(*) AS count
           FROM consumer.rehome)) + ( SELECT count(*) AS count
           FROM consumer.rebuild)) AS pending,
    ( SELECT count(*) AS count
           FROM consumer.failures f
          WHERE (f.state = 'retrying'::text)) AS retrying,
    ( SELECT count(*) AS count
           FROM consumer.failures f
          WHERE (f.state = 'dead'::text)) AS dead,
    ( SELECT count(*) AS count
           FROM consumer.outcomes) AS done,
    COALESCE((EXTRACT(epoch FROM (now() - LEAST(( SELECT o.received_at
           FROM consumer.outbox o
          WHERE (o.seq = ( SELECT min(p.seq) AS min
                   FROM consumer.pending p))), ( SELECT min(f.next_attempt_at) AS min
           FROM consumer.failures f
          WHERE ((f.state = 'retrying'::text) AND (f.next_attempt_at <= now()))), ( SELECT min(r.due_at) AS min
           FROM consumer.rehome r
          WHERE (r.due_at <= now()))))))::double precision, (0)::double precision) AS oldest_due_seconds,
    ( SELECT count(*) AS count
           FROM consumer.outbox o
          WHERE ((o.seq > consumer_masked.seq_before((now() - '00:01:00'::interval))) AND (o.received_at > (now() - '00:01:00'::interval)))) AS received_last_minute,
    ( SELECT count(*) AS count
           FROM consumer.outcomes d
          WHERE ((d.at > (now() - '00:01:00'::interval)) AND (d.outcome = ANY (ARRAY['applied'::text, 'unchanged'::text, 'stale'::text, 'ignored'::text])))) AS applied_last_minute;


--
-- Name: rebuild; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.rebuild AS
 SELECT stage,
    id,
    attempts,
    due_at,
    error
   FROM consumer.rebuild r;


--
-- Name: rehome; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.rehome AS
 SELECT id,
    company_id,
    next_user_id,
    last_user_id,
    attempts,
    due_at,
    seq
   FROM consumer.rehome r;


--
-- Name: reports; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.reports AS
 SELECT at,
    process_id,
    duty,
    host,
    pid,
    release,
    clock_skew_seconds,
    next_at,
    paused_by,
    counters,
    histograms,
    findings
   FROM consumer.reports r;


--
-- Name: run_repairs; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.run_repairs AS
 SELECT run_id,
    kind,
    repaired
   FROM consumer.run_repairs r;


--
-- Name: runs; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.runs AS
 SELECT id,
    kind,
    stage,
    restarts,
    listed_at,
    users,
    teams,
    memberships,
    permissions,
    stored,
    unusable,
    calls,
    begun_at,
    finished_at,
    abandoned_at
   FROM consumer.runs r;


--
-- Name: settings; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.settings AS
 SELECT default_company_id,
    default_role,
    default_department,
    role_key,
    department_key,
    company_key,
    delete_policy,
    recorded_at,
    audited_since,
    pruned_until
   FROM consumer.settings s;


--
-- Name: suspects; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.suspects AS
 SELECT run_id,
    kind,
    team_id,
    user_id,
    permission_id,
    asked_at,
    confirmed_at
   FROM consumer.suspects s;


--
-- Name: team_permissions; Type: VIEW; Schema: consumer_masked; Owner: -
--

CREATE VIEW consumer_masked.team_permissions AS
 SELECT user_id,
    company_id,
    permission_id,
    version,
    is_present
   FROM consumer.team_permissions t;


--
-- Name: profile_audit_id_seq; Type: SEQUENCE; Schema: identity; Owner: -
--

ALTER TABLE identity.profile_audit ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME identity.profile_audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: profiles_needing_sync; Type: VIEW; Schema: identity; Owner: -
--

CREATE VIEW identity.profiles_needing_sync WITH (security_invoker='true') AS
 WITH living AS (
         SELECT p.user_id,
            p.full_name,
            p.company_id,
            p.updated_at AS profile_updated_at,
            m.last_synced_at,
            m.occurred_at,
            (m.stack_user_id IS NOT NULL) AS is_from_stack,
            (GREATEST(p.created_at, m.occurred_at) < ( SELECT identity.last_scan_at() AS last_scan_at)) AS is_scanned
           FROM (identity.profiles p
             LEFT JOIN identity.stack_user_profiles m ON (((p.user_id = m.stack_user_id) AND (m.version >= '1'::text))))
          WHERE (p.deleted_at IS NULL)
        ), unlisted AS (
         SELECT u.user_id
           FROM identity.unconfirmed_users(ARRAY( SELECT l_1.user_id
                   FROM living l_1
                  WHERE l_1.is_scanned)) u(user_id)
        ), confirmed AS (
         SELECT l_1.user_id,
            l_1.full_name,
            l_1.company_id,
            l_1.profile_updated_at,
            l_1.last_synced_at,
            l_1.occurred_at,
            l_1.is_from_stack,
            l_1.is_scanned,
                CASE
                    WHEN (l_1.is_scanned AND (u.user_id IS NULL)) THEN ( SELECT identity.last_scan_at() AS last_scan_at)
                    ELSE l_1.occurred_at
                END AS confirmed_at
           FROM (living l_1
             LEFT JOIN unlisted u ON ((l_1.user_id = u.user_id)))
        )
 SELECT l.user_id,
    l.full_name,
    l.company_id,
    c.name AS company_name,
    l.profile_updated_at,
    l.last_synced_at,
        CASE
            WHEN l.is_from_stack THEN ((EXTRACT(epoch FROM (now() - l.confirmed_at)) / (3600)::numeric))::double precision
            ELSE NULL::double precision
        END AS hours_since_sync
   FROM (confirmed l
     LEFT JOIN identity.companies c ON ((l.company_id = c.id)))
  WHERE ((NOT l.is_from_stack) OR ((l.confirmed_at < (now() - '24:00:00'::interval)) AND ( SELECT (identity.has_api_key() OR (identity.last_scan_at() IS NOT NULL)))));


--
-- Name: stack_integration_stats; Type: VIEW; Schema: identity; Owner: -
--

CREATE VIEW identity.stack_integration_stats WITH (security_invoker='true') AS
 SELECT c.id AS company_id,
    c.name AS company_name,
    count(p.user_id) AS total_profiles,
    count(m.stack_user_id) AS synced_profiles,
    round(((100.0 * (count(m.stack_user_id))::numeric) / (NULLIF(count(p.user_id), 0))::numeric), 2) AS sync_percentage,
    min(p.created_at) AS first_profile_created,
    max(p.updated_at) AS last_profile_updated,
    round(avg(m.sync_version), 2) AS avg_sync_version
   FROM ((identity.companies c
     LEFT JOIN identity.profiles p ON (((c.id = p.company_id) AND (p.deleted_at IS NULL))))
     LEFT JOIN identity.stack_user_profiles m ON (((p.user_id = m.stack_user_id) AND (m.version >= '1'::text))))
  WHERE (c.deleted_at IS NULL)
  GROUP BY c.id, c.name;


--
-- Name: _yoyo_log _yoyo_log_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer._yoyo_log
    ADD CONSTRAINT _yoyo_log_pkey PRIMARY KEY (id);


--
-- Name: _yoyo_migration _yoyo_migration_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer._yoyo_migration
    ADD CONSTRAINT _yoyo_migration_pkey PRIMARY KEY (migration_hash);


--
-- Name: _yoyo_record _yoyo_record_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer._yoyo_record
    ADD CONSTRAINT _yoyo_record_pkey PRIMARY KEY (migration_id);


--
-- Name: _yoyo_version _yoyo_version_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer._yoyo_version
    ADD CONSTRAINT _yoyo_version_pkey PRIMARY KEY (version);


--
-- Name: actions actions_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.actions
    ADD CONSTRAINT actions_pkey PRIMARY KEY (id);


--
-- Name: activity activity_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.activity
    ADD CONSTRAINT activity_pkey PRIMARY KEY (id);


--
-- Name: background background_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.background
    ADD CONSTRAINT background_pkey PRIMARY KEY (id);


--
-- Name: edits edits_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.edits
    ADD CONSTRAINT edits_pkey PRIMARY KEY (user_id, field);


--
-- Name: exclusions exclusions_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.exclusions
    ADD CONSTRAINT exclusions_pkey PRIMARY KEY (seq);


--
-- Name: failures failures_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.failures
    ADD CONSTRAINT failures_pkey PRIMARY KEY (seq);


--
-- Name: fence fence_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.fence
    ADD CONSTRAINT fence_pkey PRIMARY KEY (migration);


--
-- Name: hours hours_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.hours
    ADD CONSTRAINT hours_pkey PRIMARY KEY (source, hour);


--
-- Name: maintenance maintenance_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.maintenance
    ADD CONSTRAINT maintenance_pkey PRIMARY KEY (job);


--
-- Name: memberships memberships_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.memberships
    ADD CONSTRAINT memberships_pkey PRIMARY KEY (user_id, company_id);


--
-- Name: origin origin_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.origin
    ADD CONSTRAINT origin_pkey PRIMARY KEY (id);


--
-- Name: outbox outbox_message_key; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.outbox
    ADD CONSTRAINT outbox_message_key UNIQUE (source, message_id);


--
-- Name: outbox outbox_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (seq);


--
-- Name: outcomes outcomes_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.outcomes
    ADD CONSTRAINT outcomes_pkey PRIMARY KEY (seq);


--
-- Name: past_exclusions past_exclusions_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.past_exclusions
    ADD CONSTRAINT past_exclusions_pkey PRIMARY KEY (seq, taken_back_at);


--
-- Name: pending pending_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.pending
    ADD CONSTRAINT pending_pkey PRIMARY KEY (seq);


--
-- Name: project project_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.project
    ADD CONSTRAINT project_pkey PRIMARY KEY (id);


--
-- Name: pruned pruned_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.pruned
    ADD CONSTRAINT pruned_pkey PRIMARY KEY (key);


--
-- Name: rebuild rebuild_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.rebuild
    ADD CONSTRAINT rebuild_pkey PRIMARY KEY (stage, id);


--
-- Name: rehome rehome_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.rehome
    ADD CONSTRAINT rehome_pkey PRIMARY KEY (id);


--
-- Name: reports reports_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.reports
    ADD CONSTRAINT reports_pkey PRIMARY KEY (at, process_id);


--
-- Name: run_repairs run_repairs_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.run_repairs
    ADD CONSTRAINT run_repairs_pkey PRIMARY KEY (run_id, kind);


--
-- Name: run_teams run_teams_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.run_teams
    ADD CONSTRAINT run_teams_pkey PRIMARY KEY (run_id, team_id);


--
-- Name: runs runs_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (id);


--
-- Name: settings settings_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.settings
    ADD CONSTRAINT settings_pkey PRIMARY KEY (id);


--
-- Name: suspects suspects_subject; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.suspects
    ADD CONSTRAINT suspects_subject UNIQUE NULLS NOT DISTINCT (run_id, kind, team_id, user_id, permission_id);


--
-- Name: team_permissions team_permissions_pkey; Type: CONSTRAINT; Schema: consumer; Owner: -
--

ALTER TABLE ONLY consumer.team_permissions
    ADD CONSTRAINT team_permissions_pkey PRIMARY KEY (user_id, company_id, permission_id);


--
-- Name: companies companies_pkey; Type: CONSTRAINT; Schema: identity; Owner: -
--

ALTER TABLE ONLY identity.companies
    ADD CONSTRAINT companies_pkey PRIMARY KEY (id);


--
-- Name: company_members company_members_pkey; Type: CONSTRAINT; Schema: identity; Owner: -
--

ALTER TABLE ONLY identity.company_members
    ADD CONSTRAINT company_members_pkey PRIMARY KEY (company_id, user_id);


--
-- Name: profile_audit profile_audit_pkey; Type: CONSTRAINT; Schema: identity; Owner: -
--

ALTER TABLE ONLY identity.profile_audit
    ADD CONSTRAINT profile_audit_pkey PRIMARY KEY (user_id, id);


--
-- Name: profiles profiles_pkey; Type: CONSTRAINT; Schema: identity; Owner: -
--

ALTER TABLE ONLY identity.profiles
    ADD CONSTRAINT profiles_pkey PRIMARY KEY (user_id);


--
-- Name: stack_user_profiles stack_user_profiles_pkey; Type: CONSTRAINT; Schema: identity; Owner: -
--

ALTER TABLE ONLY identity.stack_user_profiles
    ADD CONSTRAINT stack_user_profiles_pkey PRIMARY KEY (stack_user_id);


--
-- Name: actions_at; Type: INDEX; Schema: consumer; Owner: -
--

CREATE INDEX actions_at ON consumer.actions USING btree (at, id);


--
-- Name: background_newest; Type: INDEX; Schema: consumer; Owner: -
--

CREATE INDEX background_newest ON consumer.background USING btree (COALESCE(finished_at, 'infinity'::timestamp with time zone), begun_at, id);


--
-- Name: background_unfinished; Type: INDEX; Schema: consumer; Owner: -
--

CREATE INDEX background_unfinished ON consumer.background USING btree (stepped_at) WHERE (finished_at IS NULL);


--
-- Name: edits_company_id; Type: INDEX; Schema: consumer; Owner: -
--

CREATE INDEX edits_company_id ON consumer.edits USING btree (value, user_id) WHERE (field = 'company_id'::text);


--
-- Name: failures_dead; Type: INDEX; Schema: consumer; Owner: -
--

CREATE INDEX failures_dead ON consumer.failures USING btree (failed_at) WHERE (state = 'dead'::text);


--
-- Name: failures_due; Type: INDEX; Schema: consumer; Owner: -
--

CREATE INDEX failures_due ON consumer.failures USING btree (next_attempt_at) WHERE (state = 'retrying'::text);


--
-- Name: memberships_company_id; Type: INDEX; Schema: consumer; Owner: -
--

CREATE INDEX memberships_company_id ON consumer.memberships USING btree (company_id, user_id);


--
-- Name: outbox_other_sources; Type: INDEX; Schema: consumer; Owner: -
--

CREATE INDEX outbox_other_sources ON consumer.outbox USING btree (source, received_at) WHERE (source <> 'stack'::text);


--
-- Name: outbox_received_at; Type: INDEX; Schema: consumer; Owner: -
--

CREATE INDEX outbox_received_at ON consumer.outbox USING brin (received_at) WITH (pages_per_range='16');


--
-- Name: outbox_team_id; Type: INDEX; Schema: consumer; Owner: -
--

CREATE INDEX outbox_team_id ON consumer.outbox USING btree (team_id) WHERE (team_id IS NOT NULL);


--
-- Name: outbox_user_id; Type: INDEX; Schema: consumer; Owner: -
--

CREATE INDEX outbox_user_id ON consumer.outbox USING btree (user_id) WHERE (user_id IS NOT NULL);


--
-- Name: outcomes_at; Type: INDEX; Schema: consumer; Owner: -
--

CREATE INDEX outcomes_at ON consumer.outcomes USING brin (at) WITH (pages_per_range='16');


--
-- Name: runs_open; Type: INDEX; Schema: consumer; Owner: -
--

CREATE UNIQUE INDEX runs_open ON consumer.runs USING btree (kind) WHERE ((finished_at IS NULL) AND (abandoned_at IS NULL));


--
-- Name: company_members_active; Type: INDEX; Schema: identity; Owner: -
--

CREATE INDEX company_members_active ON identity.company_members USING btree (user_id, joined_at, company_id) WHERE (removed_at IS NULL);


--
-- Name: company_members_guests; Type: INDEX; Schema: identity; Owner: -
--

CREATE INDEX company_members_guests ON identity.company_members USING btree (company_id, user_id) WHERE is_guest;


--
-- Name: company_members_search_name; Type: INDEX; Schema: identity; Owner: -
--

CREATE INDEX company_members_search_name ON identity.company_members USING btree (company_id, search_name, user_id) WHERE (search_name IS NOT NULL);


--
-- Name: company_members_user_id; Type: INDEX; Schema: identity; Owner: -
--

CREATE INDEX company_members_user_id ON identity.company_members USING btree (user_id);


--
-- Name: profile_audit_at; Type: INDEX; Schema: identity; Owner: -
--

CREATE INDEX profile_audit_at ON identity.profile_audit USING brin (at) WITH (pages_per_range='16');


--
-- Name: profile_audit_seq; Type: INDEX; Schema: identity; Owner: -
--

CREATE INDEX profile_audit_seq ON identity.profile_audit USING btree (seq);


--
-- Name: profile_audit_sign_in; Type: INDEX; Schema: identity; Owner: -
--

CREATE UNIQUE INDEX profile_audit_sign_in ON identity.profile_audit USING btree (user_id, source, message_id) WHERE (operation = ANY (ARRAY['signed_in'::text, 'signed_out'::text]));


--
-- Name: profiles_company_id; Type: INDEX; Schema: identity; Owner: -
--

CREATE INDEX profiles_company_id ON identity.profiles USING btree (company_id, user_id) WHERE (company_id IS NOT NULL);


--
-- Name: profiles_department; Type: INDEX; Schema: identity; Owner: -
--

CREATE INDEX profiles_department ON identity.profiles USING btree (company_id, department, user_id) WHERE ((company_id IS NOT NULL) AND (octet_length(department) <= 256));


--
-- Name: profiles_guest_keys; Type: INDEX; Schema: identity; Owner: -
--

CREATE INDEX profiles_guest_keys ON identity.profiles USING gin (guest_keys) WITH (fastupdate='false') WHERE (guest_keys IS NOT NULL);


--
-- Name: profiles_role_type; Type: INDEX; Schema: identity; Owner: -
--

CREATE INDEX profiles_role_type ON identity.profiles USING btree (company_id, role_type, user_id) WHERE ((company_id IS NOT NULL) AND (octet_length(role_type) <= 256));


--
-- Name: profiles_search_name; Type: INDEX; Schema: identity; Owner: -
--

CREATE INDEX profiles_search_name ON identity.profiles USING btree (company_id, search_name, user_id) WHERE (company_id IS NOT NULL);


--
-- Name: profiles_updated_at; Type: INDEX; Schema: identity; Owner: -
--

CREATE INDEX profiles_updated_at ON identity.profiles USING btree (company_id, updated_at, user_id) WHERE (company_id IS NOT NULL);


--
-- Name: stack_user_profiles_company_id; Type: INDEX; Schema: identity; Owner: -
--

CREATE INDEX stack_user_profiles_company_id ON identity.stack_user_profiles USING btree (company_id, stack_user_id) WHERE (company_id IS NOT NULL);


--
-- Name: stack_user_profiles_email; Type: INDEX; Schema: identity; Owner: -
--

CREATE INDEX stack_user_profiles_email ON identity.stack_user_profiles USING btree (lower(stack_primary_email)) WHERE (octet_length(stack_primary_email) <= 320);


--
-- Name: stack_user_profiles_erased; Type: INDEX; Schema: identity; Owner: -
--

CREATE INDEX stack_user_profiles_erased ON identity.stack_user_profiles USING btree (stack_user_id) WHERE is_erased;


--
-- Name: stack_user_profiles_guest_keys; Type: INDEX; Schema: identity; Owner: -
--

CREATE INDEX stack_user_profiles_guest_keys ON identity.stack_user_profiles USING gin (guest_keys) WITH (fastupdate='false') WHERE (guest_keys IS NOT NULL);


--
-- Name: stack_user_profiles_source_company_id; Type: INDEX; Schema: identity; Owner: -
--

CREATE INDEX stack_user_profiles_source_company_id ON identity.stack_user_profiles USING btree (source_company_id, stack_user_id) WHERE (source_company_id IS NOT NULL);


--
-- Name: company_members company_members_company_id_fkey; Type: FK CONSTRAINT; Schema: identity; Owner: -
--

ALTER TABLE ONLY identity.company_members
    ADD CONSTRAINT company_members_company_id_fkey FOREIGN KEY (company_id) REFERENCES identity.companies(id);


--
-- Name: profiles profiles_company_id_fkey; Type: FK CONSTRAINT; Schema: identity; Owner: -
--

ALTER TABLE ONLY identity.profiles
    ADD CONSTRAINT profiles_company_id_fkey FOREIGN KEY (company_id) REFERENCES identity.companies(id);


--
-- Name: stack_user_profiles stack_user_profiles_company_id_fkey; Type: FK CONSTRAINT; Schema: identity; Owner: -
--

ALTER TABLE ONLY identity.stack_user_profiles
    ADD CONSTRAINT stack_user_profiles_company_id_fkey FOREIGN KEY (company_id) REFERENCES identity.companies(id);


--
-- Name: failures definer; Type: POLICY; Schema: consumer; Owner: -
--

CREATE POLICY definer ON consumer.failures FOR SELECT TO consumer_definer USING (true);


--
-- Name: outbox definer; Type: POLICY; Schema: consumer; Owner: -
--

CREATE POLICY definer ON consumer.outbox FOR INSERT TO consumer_definer WITH CHECK ((source = 'app'::text));


--
-- Name: outbox definer_prunes; Type: POLICY; Schema: consumer; Owner: -
--

CREATE POLICY definer_prunes ON consumer.outbox FOR DELETE TO consumer_definer USING (true);


--
-- Name: outbox definer_reads; Type: POLICY; Schema: consumer; Owner: -
--

CREATE POLICY definer_reads ON consumer.outbox FOR SELECT TO consumer_definer USING (true);


--
-- Name: outbox definer_rereads; Type: POLICY; Schema: consumer; Owner: -
--

CREATE POLICY definer_rereads ON consumer.outbox FOR UPDATE TO consumer_definer USING (true);


--
-- Name: failures; Type: ROW SECURITY; Schema: consumer; Owner: -
--

ALTER TABLE consumer.failures ENABLE ROW LEVEL SECURITY;

--
-- Name: failures masker; Type: POLICY; Schema: consumer; Owner: -
--

CREATE POLICY masker ON consumer.failures FOR SELECT TO consumer_masker USING (true);


--
-- Name: outbox masker; Type: POLICY; Schema: consumer; Owner: -
--

CREATE POLICY masker ON consumer.outbox FOR SELECT TO consumer_masker USING (true);


--
-- Name: failures operator; Type: POLICY; Schema: consumer; Owner: -
--

CREATE POLICY operator ON consumer.failures TO consumer_operator USING (true);


--
-- Name: outbox operator; Type: POLICY; Schema: consumer; Owner: -
--

CREATE POLICY operator ON consumer.outbox TO consumer_operator USING (true);


--
-- Name: outbox; Type: ROW SECURITY; Schema: consumer; Owner: -
--

ALTER TABLE consumer.outbox ENABLE ROW LEVEL SECURITY;

--
-- Name: failures receiver; Type: POLICY; Schema: consumer; Owner: -
--

CREATE POLICY receiver ON consumer.failures FOR INSERT TO consumer_receiver WITH CHECK (consumer.is_stored_now(seq));


--
-- Name: outbox receiver; Type: POLICY; Schema: consumer; Owner: -
--

CREATE POLICY receiver ON consumer.outbox FOR INSERT TO consumer_receiver WITH CHECK (((source = ANY (ARRAY['stack'::text, 'app'::text])) AND (verified_by IS NOT NULL)));


--
-- Name: outbox receiver_reads; Type: POLICY; Schema: consumer; Owner: -
--

CREATE POLICY receiver_reads ON consumer.outbox FOR SELECT TO consumer_receiver USING (true);


--
-- Name: failures worker; Type: POLICY; Schema: consumer; Owner: -
--

CREATE POLICY worker ON consumer.failures TO consumer_worker USING (true);


--
-- Name: outbox worker; Type: POLICY; Schema: consumer; Owner: -
--

CREATE POLICY worker ON consumer.outbox FOR SELECT TO consumer_worker USING (true);


--
-- Name: companies; Type: ROW SECURITY; Schema: identity; Owner: -
--

ALTER TABLE identity.companies ENABLE ROW LEVEL SECURITY;

--
-- Name: company_members; Type: ROW SECURITY; Schema: identity; Owner: -
--

ALTER TABLE identity.company_members ENABLE ROW LEVEL SECURITY;

--
-- Name: companies definer; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY definer ON identity.companies FOR SELECT TO consumer_definer USING (true);


--
-- Name: company_members definer; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY definer ON identity.company_members FOR SELECT TO consumer_definer USING (true);


--
-- Name: profile_audit definer; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY definer ON identity.profile_audit TO consumer_definer USING (true) WITH CHECK (true);


--
-- Name: profiles definer; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY definer ON identity.profiles FOR SELECT TO consumer_definer USING (true);


--
-- Name: stack_user_profiles definer; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY definer ON identity.stack_user_profiles FOR SELECT TO consumer_definer USING (true);


--
-- Name: companies masker; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY masker ON identity.companies FOR SELECT TO consumer_masker USING (true);


--
-- Name: company_members masker; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY masker ON identity.company_members FOR SELECT TO consumer_masker USING (true);


--
-- Name: profile_audit masker; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY masker ON identity.profile_audit FOR SELECT TO consumer_masker USING (true);


--
-- Name: profiles masker; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY masker ON identity.profiles FOR SELECT TO consumer_masker USING (true);


--
-- Name: stack_user_profiles masker; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY masker ON identity.stack_user_profiles FOR SELECT TO consumer_masker USING (true);


--
-- Name: profile_audit; Type: ROW SECURITY; Schema: identity; Owner: -
--

ALTER TABLE identity.profile_audit ENABLE ROW LEVEL SECURITY;

--
-- Name: profiles; Type: ROW SECURITY; Schema: identity; Owner: -
--

ALTER TABLE identity.profiles ENABLE ROW LEVEL SECURITY;

--
-- Name: companies readers; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY readers ON identity.companies FOR SELECT TO consumer_app, consumer_operator USING (true);


--
-- Name: company_members readers; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY readers ON identity.company_members FOR SELECT TO consumer_app, consumer_operator USING (true);


--
-- Name: profile_audit readers; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY readers ON identity.profile_audit FOR SELECT TO consumer_app, consumer_operator USING (true);


--
-- Name: profiles readers; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY readers ON identity.profiles FOR SELECT TO consumer_app, consumer_operator USING (true);


--
-- Name: stack_user_profiles readers; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY readers ON identity.stack_user_profiles FOR SELECT TO consumer_app, consumer_operator USING (true);


--
-- Name: stack_user_profiles; Type: ROW SECURITY; Schema: identity; Owner: -
--

ALTER TABLE identity.stack_user_profiles ENABLE ROW LEVEL SECURITY;

--
-- Name: companies tenant; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY tenant ON identity.companies FOR SELECT TO consumer_tenant USING (((deleted_at IS NULL) AND ((id = ( SELECT identity.current_company_id() AS current_company_id)) OR (id = ANY (( SELECT identity.current_memberships() AS current_memberships)::uuid[])))));


--
-- Name: company_members tenant; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY tenant ON identity.company_members FOR SELECT TO consumer_tenant USING (((removed_at IS NULL) AND ((((company_id = ( SELECT identity.current_company_id() AS current_company_id)) OR (company_id = identity.current_company_id())) AND ( SELECT identity.is_current_company_active() AS is_current_company_active)) OR (user_id = ( SELECT identity.current_user_id() AS current_user_id)))));


--
-- Name: profile_audit tenant; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY tenant ON identity.profile_audit FOR SELECT TO consumer_tenant USING (((company_id = identity.current_company_id()) AND ( SELECT identity.is_current_company_active() AS is_current_company_active) AND (EXISTS ( SELECT
   FROM identity.profiles p
  WHERE (p.user_id = profile_audit.user_id)))));


--
-- Name: profiles tenant; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY tenant ON identity.profiles FOR SELECT TO consumer_tenant USING (((deleted_at IS NULL) AND ((((company_id = ( SELECT identity.current_company_id() AS current_company_id)) OR (company_id = identity.current_company_id())) AND ( SELECT identity.is_current_company_active() AS is_current_company_active)) OR (user_id = ( SELECT identity.current_user_id() AS current_user_id)) OR (guest_keys @> ARRAY[( SELECT identity.current_guest_key() AS current_guest_key)]))));


--
-- Name: stack_user_profiles tenant; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY tenant ON identity.stack_user_profiles FOR SELECT TO consumer_tenant USING (((deleted_at IS NULL) AND has_profile AND ((((company_id = ( SELECT identity.current_company_id() AS current_company_id)) OR (company_id = identity.current_company_id())) AND ( SELECT identity.is_current_company_active() AS is_current_company_active)) OR (stack_user_id = ( SELECT identity.current_user_id() AS current_user_id)) OR (guest_keys @> ARRAY[( SELECT identity.current_guest_key() AS current_guest_key)]))));


--
-- Name: companies worker; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY worker ON identity.companies TO consumer_worker USING (true) WITH CHECK (true);


--
-- Name: company_members worker; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY worker ON identity.company_members TO consumer_worker USING (true) WITH CHECK (true);


--
-- Name: profile_audit worker; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY worker ON identity.profile_audit TO consumer_worker USING (true) WITH CHECK (true);


--
-- Name: profiles worker; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY worker ON identity.profiles TO consumer_worker USING (true) WITH CHECK (true);


--
-- Name: stack_user_profiles worker; Type: POLICY; Schema: identity; Owner: -
--

CREATE POLICY worker ON identity.stack_user_profiles TO consumer_worker USING (true) WITH CHECK (true);


--
-- Name: SCHEMA consumer; Type: ACL; Schema: -; Owner: -
--

GRANT USAGE ON SCHEMA consumer TO consumer_receiver;
GRANT USAGE ON SCHEMA consumer TO consumer_worker;
GRANT USAGE ON SCHEMA consumer TO consumer_operator;
GRANT USAGE ON SCHEMA consumer TO consumer_definer;
GRANT USAGE ON SCHEMA consumer TO consumer_masker;


--
-- Name: SCHEMA consumer_masked; Type: ACL; Schema: -; Owner: -
--

GRANT USAGE ON SCHEMA consumer_masked TO consumer_viewer;
GRANT USAGE ON SCHEMA consumer_masked TO consumer_operator;
GRANT USAGE ON SCHEMA consumer_masked TO consumer_masker;


--
-- Name: SCHEMA identity; Type: ACL; Schema: -; Owner: -
--

GRANT USAGE ON SCHEMA identity TO consumer_worker;
GRANT USAGE ON SCHEMA identity TO consumer_operator;
GRANT USAGE ON SCHEMA identity TO consumer_app;
GRANT USAGE ON SCHEMA identity TO consumer_tenant;
GRANT USAGE ON SCHEMA identity TO consumer_definer;


--
-- Name: FUNCTION app_deliveries(message_ids text[], request_ids uuid[]); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.app_deliveries(message_ids text[], request_ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.app_deliveries(message_ids text[], request_ids uuid[]) TO consumer_receiver;


--
-- Name: FUNCTION begin_prune(until timestamp with time zone); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.begin_prune(until timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.begin_prune(until timestamp with time zone) TO consumer_operator;


--
-- Name: FUNCTION begin_work(OUT oldest_release integer, OUT migration_ids text[]); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.begin_work(OUT oldest_release integer, OUT migration_ids text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.begin_work(OUT oldest_release integer, OUT migration_ids text[]) TO consumer_worker;
GRANT ALL ON FUNCTION consumer.begin_work(OUT oldest_release integer, OUT migration_ids text[]) TO consumer_operator;


--
-- Name: FUNCTION company_stripe(id uuid); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.company_stripe(id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.company_stripe(id uuid) TO consumer_worker;
GRANT ALL ON FUNCTION consumer.company_stripe(id uuid) TO consumer_operator;


--
-- Name: FUNCTION erase_bodies(of_user uuid, seqs bigint[], bodies bytea[], reduced_bodies bytea[]); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.erase_bodies(of_user uuid, seqs bigint[], bodies bytea[], reduced_bodies bytea[]) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.erase_bodies(of_user uuid, seqs bigint[], bodies bytea[], reduced_bodies bytea[]) TO consumer_operator;


--
-- Name: FUNCTION guest_key(salt bytea, company_id uuid); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.guest_key(salt bytea, company_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.guest_key(salt bytea, company_id uuid) TO consumer_worker;


--
-- Name: FUNCTION instant(millis text); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.instant(millis text) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.instant(millis text) TO consumer_worker;
GRANT ALL ON FUNCTION consumer.instant(millis text) TO consumer_operator;


--
-- Name: FUNCTION is_erasure_stored(of_user uuid); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.is_erasure_stored(of_user uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.is_erasure_stored(of_user uuid) TO consumer_definer;


--
-- Name: FUNCTION is_stored_now(seq bigint); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.is_stored_now(seq bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.is_stored_now(seq bigint) TO consumer_receiver;


--
-- Name: FUNCTION message_key(source text, message_id text); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.message_key(source text, message_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.message_key(source text, message_id text) TO consumer_receiver;
GRANT ALL ON FUNCTION consumer.message_key(source text, message_id text) TO consumer_worker;
GRANT ALL ON FUNCTION consumer.message_key(source text, message_id text) TO consumer_operator;
GRANT ALL ON FUNCTION consumer.message_key(source text, message_id text) TO consumer_definer;


--
-- Name: FUNCTION metadata_id(metadata jsonb, key text); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.metadata_id(metadata jsonb, key text) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.metadata_id(metadata jsonb, key text) TO consumer_worker;
GRANT ALL ON FUNCTION consumer.metadata_id(metadata jsonb, key text) TO consumer_operator;
GRANT ALL ON FUNCTION consumer.metadata_id(metadata jsonb, key text) TO consumer_definer;


--
-- Name: FUNCTION trimmed(value text); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.trimmed(value text) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.trimmed(value text) TO consumer_worker;
GRANT ALL ON FUNCTION consumer.trimmed(value text) TO consumer_operator;
GRANT ALL ON FUNCTION consumer.trimmed(value text) TO consumer_definer;


--
-- Name: FUNCTION metadata_text(metadata jsonb, key text); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.metadata_text(metadata jsonb, key text) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.metadata_text(metadata jsonb, key text) TO consumer_worker;
GRANT ALL ON FUNCTION consumer.metadata_text(metadata jsonb, key text) TO consumer_operator;
GRANT ALL ON FUNCTION consumer.metadata_text(metadata jsonb, key text) TO consumer_definer;


--
-- Name: FUNCTION pause_work(); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.pause_work() FROM PUBLIC;


--
-- Name: FUNCTION prune(seqs bigint[]); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.prune(seqs bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.prune(seqs bigint[]) TO consumer_operator;


--
-- Name: FUNCTION pruned_places(sources text[], message_ids text[]); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.pruned_places(sources text[], message_ids text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.pruned_places(sources text[], message_ids text[]) TO consumer_receiver;
GRANT ALL ON FUNCTION consumer.pruned_places(sources text[], message_ids text[]) TO consumer_worker;
GRANT ALL ON FUNCTION consumer.pruned_places(sources text[], message_ids text[]) TO consumer_operator;
GRANT ALL ON FUNCTION consumer.pruned_places(sources text[], message_ids text[]) TO consumer_definer;


--
-- Name: FUNCTION pruned_repeats(seqs bigint[]); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.pruned_repeats(seqs bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.pruned_repeats(seqs bigint[]) TO consumer_worker;
GRANT ALL ON FUNCTION consumer.pruned_repeats(seqs bigint[]) TO consumer_operator;


--
-- Name: FUNCTION reduce_again(seqs bigint[], earlier_bodies bytea[], reduced_bodies bytea[]); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.reduce_again(seqs bigint[], earlier_bodies bytea[], reduced_bodies bytea[]) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.reduce_again(seqs bigint[], earlier_bodies bytea[], reduced_bodies bytea[]) TO consumer_worker;


--
-- Name: FUNCTION reduce_late(seqs bigint[], bodies bytea[]); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.reduce_late(seqs bigint[], bodies bytea[]) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.reduce_late(seqs bigint[], bodies bytea[]) TO consumer_worker;


--
-- Name: FUNCTION reread(seqs bigint[], event_types text[], user_ids uuid[], team_ids uuid[], reduced_bodies bytea[]); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.reread(seqs bigint[], event_types text[], user_ids uuid[], team_ids uuid[], reduced_bodies bytea[]) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.reread(seqs bigint[], event_types text[], user_ids uuid[], team_ids uuid[], reduced_bodies bytea[]) TO consumer_operator;


--
-- Name: FUNCTION seq_before(since timestamp with time zone); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.seq_before(since timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.seq_before(since timestamp with time zone) TO consumer_worker;
GRANT ALL ON FUNCTION consumer.seq_before(since timestamp with time zone) TO consumer_operator;
GRANT ALL ON FUNCTION consumer.seq_before(since timestamp with time zone) TO consumer_masker;


--
-- Name: FUNCTION store_app_event(message_id text, event_type text, occurred_at timestamp with time zone, data jsonb); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.store_app_event(message_id text, event_type text, occurred_at timestamp with time zone, data jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.store_app_event(message_id text, event_type text, occurred_at timestamp with time zone, data jsonb) TO consumer_definer;


--
-- Name: FUNCTION store_sign_event(verb text, user_id uuid, at timestamp with time zone, message_id text); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.store_sign_event(verb text, user_id uuid, at timestamp with time zone, message_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.store_sign_event(verb text, user_id uuid, at timestamp with time zone, message_id text) TO consumer_definer;


--
-- Name: FUNCTION tombstone(deletion_at timestamp with time zone, missing_at timestamp with time zone, seen_at timestamp with time zone); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.tombstone(deletion_at timestamp with time zone, missing_at timestamp with time zone, seen_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.tombstone(deletion_at timestamp with time zone, missing_at timestamp with time zone, seen_at timestamp with time zone) TO consumer_worker;
GRANT ALL ON FUNCTION consumer.tombstone(deletion_at timestamp with time zone, missing_at timestamp with time zone, seen_at timestamp with time zone) TO consumer_operator;


--
-- Name: FUNCTION version(source text, occurred_at timestamp with time zone, message_id text); Type: ACL; Schema: consumer; Owner: -
--

REVOKE ALL ON FUNCTION consumer.version(source text, occurred_at timestamp with time zone, message_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer.version(source text, occurred_at timestamp with time zone, message_id text) TO consumer_worker;
GRANT ALL ON FUNCTION consumer.version(source text, occurred_at timestamp with time zone, message_id text) TO consumer_operator;


--
-- Name: FUNCTION body(value bytea); Type: ACL; Schema: consumer_masked; Owner: -
--

REVOKE ALL ON FUNCTION consumer_masked.body(value bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer_masked.body(value bytea) TO consumer_viewer;
GRANT ALL ON FUNCTION consumer_masked.body(value bytea) TO consumer_operator;


--
-- Name: FUNCTION document(value jsonb, key text, depth integer); Type: ACL; Schema: consumer_masked; Owner: -
--

REVOKE ALL ON FUNCTION consumer_masked.document(value jsonb, key text, depth integer) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer_masked.document(value jsonb, key text, depth integer) TO consumer_viewer;
GRANT ALL ON FUNCTION consumer_masked.document(value jsonb, key text, depth integer) TO consumer_operator;


--
-- Name: FUNCTION email(value text); Type: ACL; Schema: consumer_masked; Owner: -
--

REVOKE ALL ON FUNCTION consumer_masked.email(value text) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer_masked.email(value text) TO consumer_viewer;
GRANT ALL ON FUNCTION consumer_masked.email(value text) TO consumer_operator;


--
-- Name: FUNCTION hidden(value text); Type: ACL; Schema: consumer_masked; Owner: -
--

REVOKE ALL ON FUNCTION consumer_masked.hidden(value text) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer_masked.hidden(value text) TO consumer_viewer;
GRANT ALL ON FUNCTION consumer_masked.hidden(value text) TO consumer_operator;


--
-- Name: FUNCTION name(value text); Type: ACL; Schema: consumer_masked; Owner: -
--

REVOKE ALL ON FUNCTION consumer_masked.name(value text) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer_masked.name(value text) TO consumer_viewer;
GRANT ALL ON FUNCTION consumer_masked.name(value text) TO consumer_operator;


--
-- Name: FUNCTION seq_before(since timestamp with time zone); Type: ACL; Schema: consumer_masked; Owner: -
--

REVOKE ALL ON FUNCTION consumer_masked.seq_before(since timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer_masked.seq_before(since timestamp with time zone) TO consumer_viewer;
GRANT ALL ON FUNCTION consumer_masked.seq_before(since timestamp with time zone) TO consumer_operator;


--
-- Name: FUNCTION statements(); Type: ACL; Schema: consumer_masked; Owner: -
--

REVOKE ALL ON FUNCTION consumer_masked.statements() FROM PUBLIC;
GRANT ALL ON FUNCTION consumer_masked.statements() TO consumer_viewer;
GRANT ALL ON FUNCTION consumer_masked.statements() TO consumer_operator;


--
-- Name: TABLE stack_user_profiles; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE identity.stack_user_profiles TO consumer_worker;
GRANT SELECT ON TABLE identity.stack_user_profiles TO consumer_operator;


--
-- Name: COLUMN stack_user_profiles.stack_user_id; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(stack_user_id) ON TABLE identity.stack_user_profiles TO consumer_app;
GRANT SELECT(stack_user_id) ON TABLE identity.stack_user_profiles TO consumer_definer;
GRANT SELECT(stack_user_id) ON TABLE identity.stack_user_profiles TO consumer_tenant;
GRANT SELECT(stack_user_id) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.company_id; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(company_id) ON TABLE identity.stack_user_profiles TO consumer_app;
GRANT SELECT(company_id) ON TABLE identity.stack_user_profiles TO consumer_tenant;
GRANT SELECT(company_id) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.stack_display_name; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(stack_display_name) ON TABLE identity.stack_user_profiles TO consumer_app;
GRANT SELECT(stack_display_name) ON TABLE identity.stack_user_profiles TO consumer_tenant;
GRANT SELECT(stack_display_name) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.stack_primary_email; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(stack_primary_email) ON TABLE identity.stack_user_profiles TO consumer_app;
GRANT SELECT(stack_primary_email) ON TABLE identity.stack_user_profiles TO consumer_tenant;
GRANT SELECT(stack_primary_email) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.stack_primary_email_verified; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(stack_primary_email_verified) ON TABLE identity.stack_user_profiles TO consumer_app;
GRANT SELECT(stack_primary_email_verified) ON TABLE identity.stack_user_profiles TO consumer_tenant;
GRANT SELECT(stack_primary_email_verified) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.stack_profile_image_url; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(stack_profile_image_url) ON TABLE identity.stack_user_profiles TO consumer_app;
GRANT SELECT(stack_profile_image_url) ON TABLE identity.stack_user_profiles TO consumer_tenant;
GRANT SELECT(stack_profile_image_url) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.is_anonymous; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(is_anonymous) ON TABLE identity.stack_user_profiles TO consumer_app;
GRANT SELECT(is_anonymous) ON TABLE identity.stack_user_profiles TO consumer_tenant;
GRANT SELECT(is_anonymous) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.is_restricted; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(is_restricted) ON TABLE identity.stack_user_profiles TO consumer_app;
GRANT SELECT(is_restricted) ON TABLE identity.stack_user_profiles TO consumer_tenant;
GRANT SELECT(is_restricted) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.signed_up_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(signed_up_at) ON TABLE identity.stack_user_profiles TO consumer_app;
GRANT SELECT(signed_up_at) ON TABLE identity.stack_user_profiles TO consumer_tenant;
GRANT SELECT(signed_up_at) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.source_role; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(source_role) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.source_department; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(source_department) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.source_company_id; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(source_company_id) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.last_active_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(last_active_at) ON TABLE identity.stack_user_profiles TO consumer_app;
GRANT SELECT(last_active_at) ON TABLE identity.stack_user_profiles TO consumer_tenant;
GRANT SELECT(last_active_at) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.last_sign_in_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(last_sign_in_at) ON TABLE identity.stack_user_profiles TO consumer_app;
GRANT SELECT(last_sign_in_at) ON TABLE identity.stack_user_profiles TO consumer_tenant;
GRANT SELECT(last_sign_in_at) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.last_sign_out_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(last_sign_out_at) ON TABLE identity.stack_user_profiles TO consumer_app;
GRANT SELECT(last_sign_out_at) ON TABLE identity.stack_user_profiles TO consumer_tenant;
GRANT SELECT(last_sign_out_at) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.has_profile; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(has_profile) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.is_forgotten; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(is_forgotten) ON TABLE identity.stack_user_profiles TO consumer_definer;
GRANT SELECT(is_forgotten) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.is_held; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(is_held) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.version; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(version) ON TABLE identity.stack_user_profiles TO consumer_tenant;
GRANT SELECT(version) ON TABLE identity.stack_user_profiles TO consumer_app;
GRANT SELECT(version) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.occurred_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(occurred_at) ON TABLE identity.stack_user_profiles TO consumer_app;
GRANT SELECT(occurred_at) ON TABLE identity.stack_user_profiles TO consumer_tenant;
GRANT SELECT(occurred_at) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.message_id; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(message_id) ON TABLE identity.stack_user_profiles TO consumer_app;
GRANT SELECT(message_id) ON TABLE identity.stack_user_profiles TO consumer_tenant;
GRANT SELECT(message_id) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.last_synced_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(last_synced_at) ON TABLE identity.stack_user_profiles TO consumer_app;
GRANT SELECT(last_synced_at) ON TABLE identity.stack_user_profiles TO consumer_tenant;
GRANT SELECT(last_synced_at) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.sync_version; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(sync_version) ON TABLE identity.stack_user_profiles TO consumer_app;
GRANT SELECT(sync_version) ON TABLE identity.stack_user_profiles TO consumer_tenant;
GRANT SELECT(sync_version) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.deleted_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(deleted_at) ON TABLE identity.stack_user_profiles TO consumer_app;
GRANT SELECT(deleted_at) ON TABLE identity.stack_user_profiles TO consumer_tenant;
GRANT SELECT(deleted_at) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.deletion_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(deletion_at) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.missing_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(missing_at) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.seen_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(seen_at) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.is_erased; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(is_erased) ON TABLE identity.stack_user_profiles TO consumer_definer;
GRANT SELECT(is_erased) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: COLUMN stack_user_profiles.is_removed; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(is_removed) ON TABLE identity.stack_user_profiles TO consumer_masker;


--
-- Name: FUNCTION users_by_email(address text); Type: ACL; Schema: consumer_masked; Owner: -
--

REVOKE ALL ON FUNCTION consumer_masked.users_by_email(address text) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer_masked.users_by_email(address text) TO consumer_viewer;
GRANT ALL ON FUNCTION consumer_masked.users_by_email(address text) TO consumer_operator;


--
-- Name: FUNCTION written(value text); Type: ACL; Schema: consumer_masked; Owner: -
--

REVOKE ALL ON FUNCTION consumer_masked.written(value text) FROM PUBLIC;
GRANT ALL ON FUNCTION consumer_masked.written(value text) TO consumer_viewer;
GRANT ALL ON FUNCTION consumer_masked.written(value text) TO consumer_operator;


--
-- Name: FUNCTION changed_fields(before_image jsonb, after_image jsonb); Type: ACL; Schema: identity; Owner: -
--

REVOKE ALL ON FUNCTION identity.changed_fields(before_image jsonb, after_image jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.changed_fields(before_image jsonb, after_image jsonb) TO consumer_worker;


--
-- Name: FUNCTION current_company_id(); Type: ACL; Schema: identity; Owner: -
--

REVOKE ALL ON FUNCTION identity.current_company_id() FROM PUBLIC;
GRANT ALL ON FUNCTION identity.current_company_id() TO consumer_tenant;
GRANT ALL ON FUNCTION identity.current_company_id() TO consumer_app;
GRANT ALL ON FUNCTION identity.current_company_id() TO consumer_definer;


--
-- Name: FUNCTION current_guest_key(); Type: ACL; Schema: identity; Owner: -
--

REVOKE ALL ON FUNCTION identity.current_guest_key() FROM PUBLIC;
GRANT ALL ON FUNCTION identity.current_guest_key() TO consumer_tenant;


--
-- Name: FUNCTION current_guests(after uuid, role_name text, size integer); Type: ACL; Schema: identity; Owner: -
--

REVOKE ALL ON FUNCTION identity.current_guests(after uuid, role_name text, size integer) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.current_guests(after uuid, role_name text, size integer) TO consumer_tenant;
GRANT ALL ON FUNCTION identity.current_guests(after uuid, role_name text, size integer) TO consumer_app;


--
-- Name: FUNCTION current_matches(wanted text, size integer); Type: ACL; Schema: identity; Owner: -
--

REVOKE ALL ON FUNCTION identity.current_matches(wanted text, size integer) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.current_matches(wanted text, size integer) TO consumer_tenant;
GRANT ALL ON FUNCTION identity.current_matches(wanted text, size integer) TO consumer_app;


--
-- Name: FUNCTION current_memberships(); Type: ACL; Schema: identity; Owner: -
--

REVOKE ALL ON FUNCTION identity.current_memberships() FROM PUBLIC;
GRANT ALL ON FUNCTION identity.current_memberships() TO consumer_tenant;


--
-- Name: FUNCTION current_user_id(); Type: ACL; Schema: identity; Owner: -
--

REVOKE ALL ON FUNCTION identity.current_user_id() FROM PUBLIC;
GRANT ALL ON FUNCTION identity.current_user_id() TO consumer_tenant;
GRANT ALL ON FUNCTION identity.current_user_id() TO consumer_app;
GRANT ALL ON FUNCTION identity.current_user_id() TO consumer_definer;


--
-- Name: FUNCTION edit_profile(user_id uuid, edits jsonb); Type: ACL; Schema: identity; Owner: -
--

REVOKE ALL ON FUNCTION identity.edit_profile(user_id uuid, edits jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.edit_profile(user_id uuid, edits jsonb) TO consumer_app;


--
-- Name: FUNCTION folded(name text); Type: ACL; Schema: identity; Owner: -
--

REVOKE ALL ON FUNCTION identity.folded(name text) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.folded(name text) TO consumer_worker;
GRANT ALL ON FUNCTION identity.folded(name text) TO consumer_app;
GRANT ALL ON FUNCTION identity.folded(name text) TO consumer_tenant;
GRANT ALL ON FUNCTION identity.folded(name text) TO consumer_definer;


--
-- Name: FUNCTION has_api_key(); Type: ACL; Schema: identity; Owner: -
--

REVOKE ALL ON FUNCTION identity.has_api_key() FROM PUBLIC;
GRANT ALL ON FUNCTION identity.has_api_key() TO consumer_app;
GRANT ALL ON FUNCTION identity.has_api_key() TO consumer_tenant;
GRANT ALL ON FUNCTION identity.has_api_key() TO consumer_operator;


--
-- Name: TABLE profiles; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE identity.profiles TO consumer_worker;
GRANT SELECT ON TABLE identity.profiles TO consumer_operator;
GRANT SELECT ON TABLE identity.profiles TO consumer_app;
GRANT SELECT ON TABLE identity.profiles TO consumer_tenant;
GRANT SELECT ON TABLE identity.profiles TO consumer_definer;


--
-- Name: COLUMN profiles.user_id; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(user_id) ON TABLE identity.profiles TO consumer_masker;


--
-- Name: COLUMN profiles.company_id; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(company_id) ON TABLE identity.profiles TO consumer_masker;


--
-- Name: COLUMN profiles.full_name; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(full_name) ON TABLE identity.profiles TO consumer_masker;


--
-- Name: COLUMN profiles.email; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(email) ON TABLE identity.profiles TO consumer_masker;


--
-- Name: COLUMN profiles.email_verified; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(email_verified) ON TABLE identity.profiles TO consumer_masker;


--
-- Name: COLUMN profiles.avatar_url; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(avatar_url) ON TABLE identity.profiles TO consumer_masker;


--
-- Name: COLUMN profiles.role_type; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(role_type) ON TABLE identity.profiles TO consumer_masker;


--
-- Name: COLUMN profiles.department; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(department) ON TABLE identity.profiles TO consumer_masker;


--
-- Name: COLUMN profiles.is_restricted; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(is_restricted) ON TABLE identity.profiles TO consumer_masker;


--
-- Name: COLUMN profiles.last_active_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(last_active_at) ON TABLE identity.profiles TO consumer_masker;


--
-- Name: COLUMN profiles.last_sign_in_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(last_sign_in_at) ON TABLE identity.profiles TO consumer_masker;


--
-- Name: COLUMN profiles.last_sign_out_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(last_sign_out_at) ON TABLE identity.profiles TO consumer_masker;


--
-- Name: COLUMN profiles.created_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(created_at) ON TABLE identity.profiles TO consumer_masker;


--
-- Name: COLUMN profiles.updated_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(updated_at) ON TABLE identity.profiles TO consumer_masker;


--
-- Name: COLUMN profiles.deleted_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(deleted_at) ON TABLE identity.profiles TO consumer_masker;


--
-- Name: FUNCTION image(profile identity.profiles); Type: ACL; Schema: identity; Owner: -
--

REVOKE ALL ON FUNCTION identity.image(profile identity.profiles) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.image(profile identity.profiles) TO consumer_worker;


--
-- Name: FUNCTION is_current_company_active(); Type: ACL; Schema: identity; Owner: -
--

REVOKE ALL ON FUNCTION identity.is_current_company_active() FROM PUBLIC;
GRANT ALL ON FUNCTION identity.is_current_company_active() TO consumer_tenant;


--
-- Name: FUNCTION is_newer(offered identity.stack_user_profiles, known identity.stack_user_profiles); Type: ACL; Schema: identity; Owner: -
--

REVOKE ALL ON FUNCTION identity.is_newer(offered identity.stack_user_profiles, known identity.stack_user_profiles) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.is_newer(offered identity.stack_user_profiles, known identity.stack_user_profiles) TO consumer_worker;


--
-- Name: FUNCTION is_news(offered identity.stack_user_profiles, known identity.stack_user_profiles); Type: ACL; Schema: identity; Owner: -
--

REVOKE ALL ON FUNCTION identity.is_news(offered identity.stack_user_profiles, known identity.stack_user_profiles) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.is_news(offered identity.stack_user_profiles, known identity.stack_user_profiles) TO consumer_worker;


--
-- Name: FUNCTION last_scan_at(); Type: ACL; Schema: identity; Owner: -
--

REVOKE ALL ON FUNCTION identity.last_scan_at() FROM PUBLIC;
GRANT ALL ON FUNCTION identity.last_scan_at() TO consumer_app;
GRANT ALL ON FUNCTION identity.last_scan_at() TO consumer_tenant;
GRANT ALL ON FUNCTION identity.last_scan_at() TO consumer_operator;


--
-- Name: FUNCTION prune_audit(before timestamp with time zone, step interval, OUT removed bigint, OUT reached timestamp with time zone); Type: ACL; Schema: identity; Owner: -
--

REVOKE ALL ON FUNCTION identity.prune_audit(before timestamp with time zone, step interval, OUT removed bigint, OUT reached timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.prune_audit(before timestamp with time zone, step interval, OUT removed bigint, OUT reached timestamp with time zone) TO consumer_operator;


--
-- Name: FUNCTION scrub_audit(user_ids uuid[]); Type: ACL; Schema: identity; Owner: -
--

REVOKE ALL ON FUNCTION identity.scrub_audit(user_ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.scrub_audit(user_ids uuid[]) TO consumer_worker;


--
-- Name: FUNCTION search_profiles(name text, page_size integer); Type: ACL; Schema: identity; Owner: -
--

REVOKE ALL ON FUNCTION identity.search_profiles(name text, page_size integer) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.search_profiles(name text, page_size integer) TO consumer_tenant;
GRANT ALL ON FUNCTION identity.search_profiles(name text, page_size integer) TO consumer_app;


--
-- Name: FUNCTION sign_in(user_id uuid, at timestamp with time zone, message_id text); Type: ACL; Schema: identity; Owner: -
--

REVOKE ALL ON FUNCTION identity.sign_in(user_id uuid, at timestamp with time zone, message_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.sign_in(user_id uuid, at timestamp with time zone, message_id text) TO consumer_app;


--
-- Name: FUNCTION sign_out(user_id uuid, at timestamp with time zone, message_id text); Type: ACL; Schema: identity; Owner: -
--

REVOKE ALL ON FUNCTION identity.sign_out(user_id uuid, at timestamp with time zone, message_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.sign_out(user_id uuid, at timestamp with time zone, message_id text) TO consumer_app;


--
-- Name: FUNCTION unconfirmed_users(of_users uuid[]); Type: ACL; Schema: identity; Owner: -
--

REVOKE ALL ON FUNCTION identity.unconfirmed_users(of_users uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.unconfirmed_users(of_users uuid[]) TO consumer_app;
GRANT ALL ON FUNCTION identity.unconfirmed_users(of_users uuid[]) TO consumer_tenant;
GRANT ALL ON FUNCTION identity.unconfirmed_users(of_users uuid[]) TO consumer_operator;


--
-- Name: TABLE _yoyo_migration; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT ON TABLE consumer._yoyo_migration TO consumer_receiver;
GRANT SELECT ON TABLE consumer._yoyo_migration TO consumer_worker;
GRANT SELECT ON TABLE consumer._yoyo_migration TO consumer_operator;


--
-- Name: COLUMN _yoyo_migration.migration_id; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(migration_id) ON TABLE consumer._yoyo_migration TO consumer_masker;


--
-- Name: COLUMN _yoyo_migration.applied_at_utc; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(applied_at_utc) ON TABLE consumer._yoyo_migration TO consumer_masker;


--
-- Name: TABLE actions; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT,INSERT ON TABLE consumer.actions TO consumer_operator;
GRANT SELECT ON TABLE consumer.actions TO consumer_masker;


--
-- Name: COLUMN actions.affected; Type: ACL; Schema: consumer; Owner: -
--

GRANT UPDATE(affected) ON TABLE consumer.actions TO consumer_operator;


--
-- Name: COLUMN actions.reason; Type: ACL; Schema: consumer; Owner: -
--

GRANT UPDATE(reason) ON TABLE consumer.actions TO consumer_operator;


--
-- Name: TABLE activity; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE consumer.activity TO consumer_operator;


--
-- Name: TABLE background; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT,INSERT ON TABLE consumer.background TO consumer_operator;
GRANT SELECT ON TABLE consumer.background TO consumer_masker;


--
-- Name: COLUMN background.stepped_at; Type: ACL; Schema: consumer; Owner: -
--

GRANT UPDATE(stepped_at) ON TABLE consumer.background TO consumer_operator;


--
-- Name: COLUMN background.finished_at; Type: ACL; Schema: consumer; Owner: -
--

GRANT UPDATE(finished_at) ON TABLE consumer.background TO consumer_operator;


--
-- Name: COLUMN background.place; Type: ACL; Schema: consumer; Owner: -
--

GRANT UPDATE(place) ON TABLE consumer.background TO consumer_operator;


--
-- Name: COLUMN background.result; Type: ACL; Schema: consumer; Owner: -
--

GRANT UPDATE(result) ON TABLE consumer.background TO consumer_operator;


--
-- Name: COLUMN background.error; Type: ACL; Schema: consumer; Owner: -
--

GRANT UPDATE(error) ON TABLE consumer.background TO consumer_operator;


--
-- Name: TABLE exclusions; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT ON TABLE consumer.exclusions TO consumer_worker;
GRANT SELECT,INSERT,DELETE ON TABLE consumer.exclusions TO consumer_operator;
GRANT UPDATE ON TABLE consumer.exclusions TO consumer_definer;
GRANT SELECT ON TABLE consumer.exclusions TO consumer_masker;


--
-- Name: TABLE failures; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT,INSERT,DELETE ON TABLE consumer.failures TO consumer_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE consumer.failures TO consumer_operator;
GRANT SELECT ON TABLE consumer.failures TO consumer_masker;


--
-- Name: COLUMN failures.seq; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(seq) ON TABLE consumer.failures TO consumer_receiver;
GRANT UPDATE(seq) ON TABLE consumer.failures TO consumer_worker;
GRANT SELECT(seq) ON TABLE consumer.failures TO consumer_definer;


--
-- Name: COLUMN failures.state; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(state) ON TABLE consumer.failures TO consumer_receiver;
GRANT SELECT(state) ON TABLE consumer.failures TO consumer_definer;


--
-- Name: COLUMN failures.attempts; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(attempts) ON TABLE consumer.failures TO consumer_receiver;


--
-- Name: COLUMN failures.error_code; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(error_code) ON TABLE consumer.failures TO consumer_receiver;
GRANT SELECT(error_code) ON TABLE consumer.failures TO consumer_definer;


--
-- Name: COLUMN failures.error; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(error) ON TABLE consumer.failures TO consumer_receiver;
GRANT SELECT(error) ON TABLE consumer.failures TO consumer_definer;


--
-- Name: COLUMN failures.source; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(source) ON TABLE consumer.failures TO consumer_receiver;


--
-- Name: COLUMN failures.event_type; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(event_type) ON TABLE consumer.failures TO consumer_receiver;


--
-- Name: TABLE outbox; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT ON TABLE consumer.outbox TO consumer_worker;
GRANT SELECT ON TABLE consumer.outbox TO consumer_operator;
GRANT DELETE ON TABLE consumer.outbox TO consumer_definer;


--
-- Name: COLUMN outbox.seq; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(seq) ON TABLE consumer.outbox TO consumer_receiver;
GRANT SELECT(seq) ON TABLE consumer.outbox TO consumer_definer;
GRANT SELECT(seq) ON TABLE consumer.outbox TO consumer_masker;


--
-- Name: COLUMN outbox.source; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(source),INSERT(source) ON TABLE consumer.outbox TO consumer_receiver;
GRANT INSERT(source) ON TABLE consumer.outbox TO consumer_operator;
GRANT SELECT(source),INSERT(source) ON TABLE consumer.outbox TO consumer_definer;
GRANT SELECT(source) ON TABLE consumer.outbox TO consumer_masker;


--
-- Name: COLUMN outbox.message_id; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(message_id),INSERT(message_id) ON TABLE consumer.outbox TO consumer_receiver;
GRANT INSERT(message_id) ON TABLE consumer.outbox TO consumer_operator;
GRANT SELECT(message_id),INSERT(message_id) ON TABLE consumer.outbox TO consumer_definer;
GRANT SELECT(message_id) ON TABLE consumer.outbox TO consumer_masker;


--
-- Name: COLUMN outbox.event_type; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(event_type) ON TABLE consumer.outbox TO consumer_receiver;
GRANT INSERT(event_type) ON TABLE consumer.outbox TO consumer_operator;
GRANT SELECT(event_type),INSERT(event_type),UPDATE(event_type) ON TABLE consumer.outbox TO consumer_definer;
GRANT SELECT(event_type) ON TABLE consumer.outbox TO consumer_masker;


--
-- Name: COLUMN outbox.user_id; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(user_id) ON TABLE consumer.outbox TO consumer_receiver;
GRANT INSERT(user_id) ON TABLE consumer.outbox TO consumer_operator;
GRANT SELECT(user_id),INSERT(user_id),UPDATE(user_id) ON TABLE consumer.outbox TO consumer_definer;
GRANT SELECT(user_id) ON TABLE consumer.outbox TO consumer_masker;


--
-- Name: COLUMN outbox.team_id; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(team_id) ON TABLE consumer.outbox TO consumer_receiver;
GRANT INSERT(team_id) ON TABLE consumer.outbox TO consumer_operator;
GRANT UPDATE(team_id) ON TABLE consumer.outbox TO consumer_definer;
GRANT SELECT(team_id) ON TABLE consumer.outbox TO consumer_masker;


--
-- Name: COLUMN outbox.occurred_at; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(occurred_at) ON TABLE consumer.outbox TO consumer_receiver;
GRANT INSERT(occurred_at) ON TABLE consumer.outbox TO consumer_operator;
GRANT INSERT(occurred_at) ON TABLE consumer.outbox TO consumer_definer;
GRANT SELECT(occurred_at) ON TABLE consumer.outbox TO consumer_masker;


--
-- Name: COLUMN outbox.received_at; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(received_at) ON TABLE consumer.outbox TO consumer_definer;
GRANT SELECT(received_at) ON TABLE consumer.outbox TO consumer_masker;


--
-- Name: COLUMN outbox.verified_by; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(verified_by) ON TABLE consumer.outbox TO consumer_receiver;
GRANT INSERT(verified_by) ON TABLE consumer.outbox TO consumer_operator;
GRANT SELECT(verified_by) ON TABLE consumer.outbox TO consumer_masker;


--
-- Name: COLUMN outbox.body; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(body) ON TABLE consumer.outbox TO consumer_receiver;
GRANT INSERT(body) ON TABLE consumer.outbox TO consumer_operator;
GRANT INSERT(body),UPDATE(body) ON TABLE consumer.outbox TO consumer_definer;
GRANT SELECT(body) ON TABLE consumer.outbox TO consumer_masker;


--
-- Name: COLUMN outbox.reduced; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(reduced) ON TABLE consumer.outbox TO consumer_receiver;
GRANT INSERT(reduced) ON TABLE consumer.outbox TO consumer_operator;
GRANT SELECT(reduced),UPDATE(reduced) ON TABLE consumer.outbox TO consumer_definer;
GRANT SELECT(reduced) ON TABLE consumer.outbox TO consumer_masker;


--
-- Name: COLUMN outbox.request_id; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(request_id) ON TABLE consumer.outbox TO consumer_receiver;
GRANT INSERT(request_id) ON TABLE consumer.outbox TO consumer_operator;
GRANT SELECT(request_id) ON TABLE consumer.outbox TO consumer_definer;


--
-- Name: TABLE outcomes; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT,INSERT ON TABLE consumer.outcomes TO consumer_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE consumer.outcomes TO consumer_operator;
GRANT DELETE ON TABLE consumer.outcomes TO consumer_definer;
GRANT SELECT ON TABLE consumer.outcomes TO consumer_masker;


--
-- Name: COLUMN outcomes.seq; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(seq) ON TABLE consumer.outcomes TO consumer_definer;


--
-- Name: COLUMN outcomes.outcome; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(outcome) ON TABLE consumer.outcomes TO consumer_definer;


--
-- Name: TABLE pending; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT,INSERT,DELETE ON TABLE consumer.pending TO consumer_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE consumer.pending TO consumer_operator;
GRANT SELECT ON TABLE consumer.pending TO consumer_masker;


--
-- Name: COLUMN pending.seq; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(seq) ON TABLE consumer.pending TO consumer_receiver;
GRANT UPDATE(seq) ON TABLE consumer.pending TO consumer_worker;
GRANT INSERT(seq) ON TABLE consumer.pending TO consumer_definer;


--
-- Name: TABLE deliveries; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT ON TABLE consumer.deliveries TO consumer_worker;
GRANT SELECT ON TABLE consumer.deliveries TO consumer_operator;


--
-- Name: SEQUENCE edit_number; Type: ACL; Schema: consumer; Owner: -
--

GRANT USAGE ON SEQUENCE consumer.edit_number TO consumer_definer;


--
-- Name: TABLE edits; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE consumer.edits TO consumer_worker;
GRANT SELECT ON TABLE consumer.edits TO consumer_operator;
GRANT SELECT ON TABLE consumer.edits TO consumer_masker;


--
-- Name: TABLE fence; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT ON TABLE consumer.fence TO consumer_worker;
GRANT SELECT ON TABLE consumer.fence TO consumer_operator;
GRANT SELECT ON TABLE consumer.fence TO consumer_masker;


--
-- Name: TABLE hours; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE consumer.hours TO consumer_operator;
GRANT SELECT ON TABLE consumer.hours TO consumer_worker;
GRANT SELECT ON TABLE consumer.hours TO consumer_masker;


--
-- Name: TABLE maintenance; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE consumer.maintenance TO consumer_operator;
GRANT SELECT ON TABLE consumer.maintenance TO consumer_worker;
GRANT SELECT ON TABLE consumer.maintenance TO consumer_masker;


--
-- Name: TABLE memberships; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE consumer.memberships TO consumer_worker;
GRANT SELECT ON TABLE consumer.memberships TO consumer_operator;
GRANT SELECT ON TABLE consumer.memberships TO consumer_masker;


--
-- Name: TABLE origin; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT ON TABLE consumer.origin TO consumer_operator;
GRANT SELECT ON TABLE consumer.origin TO consumer_worker;


--
-- Name: TABLE past_exclusions; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT,INSERT ON TABLE consumer.past_exclusions TO consumer_operator;
GRANT SELECT ON TABLE consumer.past_exclusions TO consumer_masker;


--
-- Name: TABLE project; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT,INSERT ON TABLE consumer.project TO consumer_operator;
GRANT SELECT ON TABLE consumer.project TO consumer_masker;


--
-- Name: COLUMN project.endpoint_url; Type: ACL; Schema: consumer; Owner: -
--

GRANT UPDATE(endpoint_url) ON TABLE consumer.project TO consumer_operator;


--
-- Name: TABLE pruned; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT ON TABLE consumer.pruned TO consumer_receiver;
GRANT SELECT ON TABLE consumer.pruned TO consumer_worker;
GRANT SELECT ON TABLE consumer.pruned TO consumer_operator;
GRANT SELECT,INSERT ON TABLE consumer.pruned TO consumer_definer;


--
-- Name: TABLE rebuild; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT,INSERT,DELETE ON TABLE consumer.rebuild TO consumer_worker;
GRANT SELECT,INSERT ON TABLE consumer.rebuild TO consumer_operator;
GRANT SELECT ON TABLE consumer.rebuild TO consumer_masker;


--
-- Name: COLUMN rebuild.attempts; Type: ACL; Schema: consumer; Owner: -
--

GRANT UPDATE(attempts) ON TABLE consumer.rebuild TO consumer_worker;
GRANT UPDATE(attempts) ON TABLE consumer.rebuild TO consumer_operator;


--
-- Name: COLUMN rebuild.due_at; Type: ACL; Schema: consumer; Owner: -
--

GRANT UPDATE(due_at) ON TABLE consumer.rebuild TO consumer_worker;
GRANT UPDATE(due_at) ON TABLE consumer.rebuild TO consumer_operator;


--
-- Name: COLUMN rebuild.error; Type: ACL; Schema: consumer; Owner: -
--

GRANT UPDATE(error) ON TABLE consumer.rebuild TO consumer_worker;
GRANT UPDATE(error) ON TABLE consumer.rebuild TO consumer_operator;


--
-- Name: TABLE rehome; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT,INSERT,DELETE ON TABLE consumer.rehome TO consumer_worker;
GRANT SELECT ON TABLE consumer.rehome TO consumer_operator;
GRANT SELECT ON TABLE consumer.rehome TO consumer_masker;


--
-- Name: COLUMN rehome.next_user_id; Type: ACL; Schema: consumer; Owner: -
--

GRANT UPDATE(next_user_id) ON TABLE consumer.rehome TO consumer_worker;


--
-- Name: COLUMN rehome.attempts; Type: ACL; Schema: consumer; Owner: -
--

GRANT UPDATE(attempts) ON TABLE consumer.rehome TO consumer_worker;


--
-- Name: TABLE queue_stats; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT ON TABLE consumer.queue_stats TO consumer_worker;
GRANT SELECT ON TABLE consumer.queue_stats TO consumer_operator;


--
-- Name: TABLE reports; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT,DELETE ON TABLE consumer.reports TO consumer_operator;
GRANT SELECT ON TABLE consumer.reports TO consumer_worker;
GRANT SELECT ON TABLE consumer.reports TO consumer_masker;


--
-- Name: COLUMN reports.process_id; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(process_id) ON TABLE consumer.reports TO consumer_receiver;
GRANT INSERT(process_id) ON TABLE consumer.reports TO consumer_worker;
GRANT INSERT(process_id) ON TABLE consumer.reports TO consumer_operator;


--
-- Name: COLUMN reports.duty; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(duty) ON TABLE consumer.reports TO consumer_worker;
GRANT INSERT(duty) ON TABLE consumer.reports TO consumer_operator;


--
-- Name: COLUMN reports.host; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(host) ON TABLE consumer.reports TO consumer_receiver;
GRANT INSERT(host) ON TABLE consumer.reports TO consumer_worker;
GRANT INSERT(host) ON TABLE consumer.reports TO consumer_operator;


--
-- Name: COLUMN reports.pid; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(pid) ON TABLE consumer.reports TO consumer_receiver;
GRANT INSERT(pid) ON TABLE consumer.reports TO consumer_worker;
GRANT INSERT(pid) ON TABLE consumer.reports TO consumer_operator;


--
-- Name: COLUMN reports.release; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(release) ON TABLE consumer.reports TO consumer_receiver;
GRANT INSERT(release) ON TABLE consumer.reports TO consumer_worker;
GRANT INSERT(release) ON TABLE consumer.reports TO consumer_operator;


--
-- Name: COLUMN reports.clock_skew_seconds; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(clock_skew_seconds) ON TABLE consumer.reports TO consumer_receiver;
GRANT INSERT(clock_skew_seconds) ON TABLE consumer.reports TO consumer_worker;
GRANT INSERT(clock_skew_seconds) ON TABLE consumer.reports TO consumer_operator;


--
-- Name: COLUMN reports.next_at; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(next_at) ON TABLE consumer.reports TO consumer_receiver;
GRANT INSERT(next_at) ON TABLE consumer.reports TO consumer_worker;
GRANT INSERT(next_at) ON TABLE consumer.reports TO consumer_operator;


--
-- Name: COLUMN reports.sources; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(sources) ON TABLE consumer.reports TO consumer_receiver;
GRANT INSERT(sources) ON TABLE consumer.reports TO consumer_worker;
GRANT INSERT(sources) ON TABLE consumer.reports TO consumer_operator;


--
-- Name: COLUMN reports.paused_by; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(paused_by) ON TABLE consumer.reports TO consumer_receiver;
GRANT INSERT(paused_by) ON TABLE consumer.reports TO consumer_worker;
GRANT INSERT(paused_by) ON TABLE consumer.reports TO consumer_operator;


--
-- Name: COLUMN reports.counters; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(counters) ON TABLE consumer.reports TO consumer_receiver;
GRANT INSERT(counters) ON TABLE consumer.reports TO consumer_worker;
GRANT INSERT(counters) ON TABLE consumer.reports TO consumer_operator;


--
-- Name: COLUMN reports.histograms; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(histograms) ON TABLE consumer.reports TO consumer_receiver;
GRANT INSERT(histograms) ON TABLE consumer.reports TO consumer_worker;
GRANT INSERT(histograms) ON TABLE consumer.reports TO consumer_operator;


--
-- Name: COLUMN reports.findings; Type: ACL; Schema: consumer; Owner: -
--

GRANT INSERT(findings) ON TABLE consumer.reports TO consumer_operator;


--
-- Name: TABLE run_repairs; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT,INSERT ON TABLE consumer.run_repairs TO consumer_operator;
GRANT SELECT ON TABLE consumer.run_repairs TO consumer_masker;


--
-- Name: COLUMN run_repairs.repaired; Type: ACL; Schema: consumer; Owner: -
--

GRANT UPDATE(repaired) ON TABLE consumer.run_repairs TO consumer_operator;


--
-- Name: TABLE run_teams; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT,INSERT,DELETE ON TABLE consumer.run_teams TO consumer_operator;


--
-- Name: TABLE runs; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE consumer.runs TO consumer_operator;


--
-- Name: COLUMN runs.id; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(id) ON TABLE consumer.runs TO consumer_definer;
GRANT SELECT(id) ON TABLE consumer.runs TO consumer_masker;


--
-- Name: COLUMN runs.kind; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(kind) ON TABLE consumer.runs TO consumer_masker;


--
-- Name: COLUMN runs.stage; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(stage) ON TABLE consumer.runs TO consumer_masker;


--
-- Name: COLUMN runs.restarts; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(restarts) ON TABLE consumer.runs TO consumer_masker;


--
-- Name: COLUMN runs.listed_at; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(listed_at) ON TABLE consumer.runs TO consumer_masker;


--
-- Name: COLUMN runs.users; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(users) ON TABLE consumer.runs TO consumer_masker;


--
-- Name: COLUMN runs.teams; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(teams) ON TABLE consumer.runs TO consumer_masker;


--
-- Name: COLUMN runs.memberships; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(memberships) ON TABLE consumer.runs TO consumer_masker;


--
-- Name: COLUMN runs.permissions; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(permissions) ON TABLE consumer.runs TO consumer_masker;


--
-- Name: COLUMN runs.stored; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(stored) ON TABLE consumer.runs TO consumer_masker;


--
-- Name: COLUMN runs.unusable; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(unusable) ON TABLE consumer.runs TO consumer_masker;


--
-- Name: COLUMN runs.calls; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(calls) ON TABLE consumer.runs TO consumer_masker;


--
-- Name: COLUMN runs.begun_at; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(begun_at) ON TABLE consumer.runs TO consumer_definer;
GRANT SELECT(begun_at) ON TABLE consumer.runs TO consumer_masker;


--
-- Name: COLUMN runs.finished_at; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(finished_at) ON TABLE consumer.runs TO consumer_definer;
GRANT SELECT(finished_at) ON TABLE consumer.runs TO consumer_masker;


--
-- Name: COLUMN runs.abandoned_at; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(abandoned_at) ON TABLE consumer.runs TO consumer_masker;


--
-- Name: TABLE settings; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT ON TABLE consumer.settings TO consumer_receiver;
GRANT SELECT ON TABLE consumer.settings TO consumer_worker;
GRANT SELECT ON TABLE consumer.settings TO consumer_operator;


--
-- Name: COLUMN settings.default_company_id; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(default_company_id) ON TABLE consumer.settings TO consumer_masker;


--
-- Name: COLUMN settings.default_role; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(default_role) ON TABLE consumer.settings TO consumer_masker;


--
-- Name: COLUMN settings.default_department; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(default_department) ON TABLE consumer.settings TO consumer_masker;


--
-- Name: COLUMN settings.role_key; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(role_key) ON TABLE consumer.settings TO consumer_masker;


--
-- Name: COLUMN settings.department_key; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(department_key) ON TABLE consumer.settings TO consumer_masker;


--
-- Name: COLUMN settings.company_key; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(company_key) ON TABLE consumer.settings TO consumer_masker;


--
-- Name: COLUMN settings.delete_policy; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(delete_policy) ON TABLE consumer.settings TO consumer_masker;


--
-- Name: COLUMN settings.recorded_at; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(recorded_at) ON TABLE consumer.settings TO consumer_masker;


--
-- Name: COLUMN settings.audited_since; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(audited_since),UPDATE(audited_since) ON TABLE consumer.settings TO consumer_definer;
GRANT SELECT(audited_since) ON TABLE consumer.settings TO consumer_masker;


--
-- Name: COLUMN settings.pruned_until; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(pruned_until),UPDATE(pruned_until) ON TABLE consumer.settings TO consumer_definer;
GRANT SELECT(pruned_until) ON TABLE consumer.settings TO consumer_masker;


--
-- Name: TABLE suspects; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT,INSERT,DELETE ON TABLE consumer.suspects TO consumer_operator;
GRANT SELECT ON TABLE consumer.suspects TO consumer_masker;


--
-- Name: COLUMN suspects.run_id; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(run_id) ON TABLE consumer.suspects TO consumer_definer;


--
-- Name: COLUMN suspects.kind; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(kind) ON TABLE consumer.suspects TO consumer_definer;


--
-- Name: COLUMN suspects.team_id; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(team_id) ON TABLE consumer.suspects TO consumer_definer;


--
-- Name: COLUMN suspects.user_id; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT(user_id) ON TABLE consumer.suspects TO consumer_definer;


--
-- Name: COLUMN suspects.asked_at; Type: ACL; Schema: consumer; Owner: -
--

GRANT UPDATE(asked_at) ON TABLE consumer.suspects TO consumer_operator;


--
-- Name: COLUMN suspects.confirmed_at; Type: ACL; Schema: consumer; Owner: -
--

GRANT UPDATE(confirmed_at) ON TABLE consumer.suspects TO consumer_operator;


--
-- Name: TABLE team_permissions; Type: ACL; Schema: consumer; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE consumer.team_permissions TO consumer_worker;
GRANT SELECT ON TABLE consumer.team_permissions TO consumer_operator;
GRANT SELECT ON TABLE consumer.team_permissions TO consumer_masker;


--
-- Name: TABLE actions; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.actions TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.actions TO consumer_operator;


--
-- Name: TABLE profile_audit; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT,INSERT ON TABLE identity.profile_audit TO consumer_worker;
GRANT SELECT ON TABLE identity.profile_audit TO consumer_operator;
GRANT SELECT ON TABLE identity.profile_audit TO consumer_app;
GRANT DELETE ON TABLE identity.profile_audit TO consumer_definer;
GRANT SELECT ON TABLE identity.profile_audit TO consumer_masker;


--
-- Name: COLUMN profile_audit.id; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(id) ON TABLE identity.profile_audit TO consumer_tenant;


--
-- Name: COLUMN profile_audit.at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(at) ON TABLE identity.profile_audit TO consumer_tenant;
GRANT SELECT(at) ON TABLE identity.profile_audit TO consumer_definer;


--
-- Name: COLUMN profile_audit.user_id; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(user_id) ON TABLE identity.profile_audit TO consumer_definer;
GRANT SELECT(user_id) ON TABLE identity.profile_audit TO consumer_tenant;


--
-- Name: COLUMN profile_audit.company_id; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(company_id) ON TABLE identity.profile_audit TO consumer_tenant;


--
-- Name: COLUMN profile_audit.operation; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(operation) ON TABLE identity.profile_audit TO consumer_tenant;


--
-- Name: COLUMN profile_audit.changed_fields; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(changed_fields) ON TABLE identity.profile_audit TO consumer_tenant;


--
-- Name: COLUMN profile_audit.previous_values; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(previous_values),UPDATE(previous_values) ON TABLE identity.profile_audit TO consumer_definer;
GRANT SELECT(previous_values) ON TABLE identity.profile_audit TO consumer_tenant;


--
-- Name: COLUMN profile_audit.new_values; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(new_values),UPDATE(new_values) ON TABLE identity.profile_audit TO consumer_definer;
GRANT SELECT(new_values) ON TABLE identity.profile_audit TO consumer_tenant;


--
-- Name: COLUMN profile_audit.source; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(source) ON TABLE identity.profile_audit TO consumer_tenant;


--
-- Name: COLUMN profile_audit.message_id; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(message_id) ON TABLE identity.profile_audit TO consumer_tenant;


--
-- Name: COLUMN profile_audit.seq; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(seq) ON TABLE identity.profile_audit TO consumer_tenant;


--
-- Name: COLUMN profile_audit.edited_by; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(edited_by),UPDATE(edited_by) ON TABLE identity.profile_audit TO consumer_definer;


--
-- Name: COLUMN profile_audit.reason; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(reason),UPDATE(reason) ON TABLE identity.profile_audit TO consumer_definer;


--
-- Name: TABLE audit; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.audit TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.audit TO consumer_operator;


--
-- Name: TABLE background; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.background TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.background TO consumer_operator;


--
-- Name: TABLE bodies; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.bodies TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.bodies TO consumer_operator;


--
-- Name: TABLE companies; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE identity.companies TO consumer_worker;
GRANT SELECT ON TABLE identity.companies TO consumer_operator;
GRANT SELECT ON TABLE identity.companies TO consumer_app;


--
-- Name: COLUMN companies.id; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(id) ON TABLE identity.companies TO consumer_tenant;
GRANT SELECT(id) ON TABLE identity.companies TO consumer_definer;
GRANT SELECT(id) ON TABLE identity.companies TO consumer_masker;


--
-- Name: COLUMN companies.name; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(name) ON TABLE identity.companies TO consumer_tenant;
GRANT SELECT(name) ON TABLE identity.companies TO consumer_masker;


--
-- Name: COLUMN companies.logo_url; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(logo_url) ON TABLE identity.companies TO consumer_tenant;


--
-- Name: COLUMN companies.settings; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(settings) ON TABLE identity.companies TO consumer_tenant;


--
-- Name: COLUMN companies.created_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(created_at) ON TABLE identity.companies TO consumer_tenant;
GRANT SELECT(created_at) ON TABLE identity.companies TO consumer_masker;


--
-- Name: COLUMN companies.updated_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(updated_at) ON TABLE identity.companies TO consumer_tenant;
GRANT SELECT(updated_at) ON TABLE identity.companies TO consumer_masker;


--
-- Name: COLUMN companies.deleted_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(deleted_at) ON TABLE identity.companies TO consumer_tenant;
GRANT SELECT(deleted_at) ON TABLE identity.companies TO consumer_definer;
GRANT SELECT(deleted_at) ON TABLE identity.companies TO consumer_masker;


--
-- Name: COLUMN companies.version; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(version) ON TABLE identity.companies TO consumer_masker;


--
-- Name: COLUMN companies.guest_key; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(guest_key) ON TABLE identity.companies TO consumer_definer;


--
-- Name: COLUMN companies.deletion_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(deletion_at) ON TABLE identity.companies TO consumer_masker;


--
-- Name: COLUMN companies.missing_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(missing_at) ON TABLE identity.companies TO consumer_masker;


--
-- Name: COLUMN companies.seen_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(seen_at) ON TABLE identity.companies TO consumer_masker;


--
-- Name: TABLE company_members; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE identity.company_members TO consumer_worker;
GRANT SELECT ON TABLE identity.company_members TO consumer_operator;
GRANT SELECT ON TABLE identity.company_members TO consumer_app;


--
-- Name: COLUMN company_members.company_id; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(company_id) ON TABLE identity.company_members TO consumer_tenant;
GRANT SELECT(company_id) ON TABLE identity.company_members TO consumer_definer;
GRANT SELECT(company_id) ON TABLE identity.company_members TO consumer_masker;


--
-- Name: COLUMN company_members.user_id; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(user_id) ON TABLE identity.company_members TO consumer_tenant;
GRANT SELECT(user_id) ON TABLE identity.company_members TO consumer_definer;
GRANT SELECT(user_id) ON TABLE identity.company_members TO consumer_masker;


--
-- Name: COLUMN company_members.joined_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(joined_at) ON TABLE identity.company_members TO consumer_tenant;
GRANT SELECT(joined_at) ON TABLE identity.company_members TO consumer_masker;


--
-- Name: COLUMN company_members.removed_at; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(removed_at) ON TABLE identity.company_members TO consumer_tenant;
GRANT SELECT(removed_at) ON TABLE identity.company_members TO consumer_definer;
GRANT SELECT(removed_at) ON TABLE identity.company_members TO consumer_masker;


--
-- Name: COLUMN company_members.permissions; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(permissions) ON TABLE identity.company_members TO consumer_tenant;
GRANT SELECT(permissions) ON TABLE identity.company_members TO consumer_masker;


--
-- Name: COLUMN company_members.is_guest; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(is_guest) ON TABLE identity.company_members TO consumer_tenant;
GRANT SELECT(is_guest) ON TABLE identity.company_members TO consumer_definer;
GRANT SELECT(is_guest) ON TABLE identity.company_members TO consumer_masker;


--
-- Name: COLUMN company_members.search_name; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT(search_name) ON TABLE identity.company_members TO consumer_definer;


--
-- Name: TABLE companies; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.companies TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.companies TO consumer_operator;


--
-- Name: TABLE company_members; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.company_members TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.company_members TO consumer_operator;


--
-- Name: TABLE deliveries; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.deliveries TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.deliveries TO consumer_operator;


--
-- Name: TABLE edits; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.edits TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.edits TO consumer_operator;


--
-- Name: TABLE exclusions; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.exclusions TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.exclusions TO consumer_operator;


--
-- Name: TABLE failures; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.failures TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.failures TO consumer_operator;


--
-- Name: TABLE fence; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.fence TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.fence TO consumer_operator;


--
-- Name: TABLE hours; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.hours TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.hours TO consumer_operator;


--
-- Name: TABLE maintenance; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.maintenance TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.maintenance TO consumer_operator;


--
-- Name: TABLE memberships; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.memberships TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.memberships TO consumer_operator;


--
-- Name: TABLE migrations; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.migrations TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.migrations TO consumer_operator;


--
-- Name: TABLE mirror; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.mirror TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.mirror TO consumer_operator;


--
-- Name: TABLE outbox; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.outbox TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.outbox TO consumer_operator;


--
-- Name: TABLE outcomes; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.outcomes TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.outcomes TO consumer_operator;


--
-- Name: TABLE past_exclusions; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.past_exclusions TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.past_exclusions TO consumer_operator;


--
-- Name: TABLE pending; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.pending TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.pending TO consumer_operator;


--
-- Name: TABLE profiles; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.profiles TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.profiles TO consumer_operator;


--
-- Name: TABLE project; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.project TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.project TO consumer_operator;


--
-- Name: TABLE queue_stats; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.queue_stats TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.queue_stats TO consumer_operator;


--
-- Name: TABLE rebuild; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.rebuild TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.rebuild TO consumer_operator;


--
-- Name: TABLE rehome; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.rehome TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.rehome TO consumer_operator;


--
-- Name: TABLE reports; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.reports TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.reports TO consumer_operator;


--
-- Name: TABLE run_repairs; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.run_repairs TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.run_repairs TO consumer_operator;


--
-- Name: TABLE runs; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.runs TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.runs TO consumer_operator;


--
-- Name: TABLE settings; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.settings TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.settings TO consumer_operator;


--
-- Name: TABLE suspects; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.suspects TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.suspects TO consumer_operator;


--
-- Name: TABLE team_permissions; Type: ACL; Schema: consumer_masked; Owner: -
--

GRANT SELECT ON TABLE consumer_masked.team_permissions TO consumer_viewer;
GRANT SELECT ON TABLE consumer_masked.team_permissions TO consumer_operator;


--
-- Name: TABLE profiles_needing_sync; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT ON TABLE identity.profiles_needing_sync TO consumer_app;
GRANT SELECT ON TABLE identity.profiles_needing_sync TO consumer_tenant;
GRANT SELECT ON TABLE identity.profiles_needing_sync TO consumer_operator;


--
-- Name: TABLE stack_integration_stats; Type: ACL; Schema: identity; Owner: -
--

GRANT SELECT ON TABLE identity.stack_integration_stats TO consumer_app;
GRANT SELECT ON TABLE identity.stack_integration_stats TO consumer_tenant;
GRANT SELECT ON TABLE identity.stack_integration_stats TO consumer_operator;


--
-- PostgreSQL database dump complete
--


