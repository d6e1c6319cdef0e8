-- Edits of profiles by the application, and the SQL functions to store one, a sign-in or a sign-out.
-- depends: 0003.companies

-- The newest edit of each field of a user, withdrawals included: an older one must not come back.
CREATE TABLE consumer.edits (
    user_id uuid NOT NULL,
    field text NOT NULL CONSTRAINT edits_field CHECK (field IN ('company_id', 'department', 'role_type')),
    value text, -- null: withdrawn
    version text NOT NULL COLLATE "C",
    seq bigint NOT NULL, -- the delivery: its body says who edited and why
    PRIMARY KEY (user_id, field)
) WITH (fillfactor = 90);
-- rehome/page and companies/fold: users that an edit puts into a company, even if that company does not exist.
CREATE INDEX edits_company_id ON consumer.edits (value, user_id) WHERE field = 'company_id';

GRANT SELECT, INSERT, UPDATE, DELETE ON consumer.edits TO consumer_worker;
GRANT SELECT ON consumer.edits TO consumer_operator;

-- Store and queue an event of the application in the caller's transaction; return its message id, null for a repeat.
CREATE FUNCTION consumer.store_app_event(message_id text, event_type text, occurred_at timestamptz, data jsonb)
RETURNS text
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH stored AS (
        INSERT INTO consumer.outbox (source, message_id, event_type, user_id, occurred_at, body)
        VALUES (
            'app',
            store_app_event.message_id,
            store_app_event.event_type,
            (data ->> 'id')::uuid,
            store_app_event.occurred_at,
            convert_to(jsonb_build_object('type', store_app_event.event_type, 'data', data)::text, 'UTF8')
        )
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

-- Of two edits in the same microsecond the later one has the higher number.
CREATE SEQUENCE consumer.edit_number;

-- Store an edit of a user's profile, like `profile.edited` from the application, and return its message id. Null
-- withdraws a field; an absent field stays as it is; edited_by and reason are for the audit. An edit that no worker
-- could apply is refused and not stored.
CREATE FUNCTION identity.edit_profile(user_id uuid, edits jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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

-- Store that a user signed *verb* (in or out), like `user.signed_in` or `user.signed_out` from the application with the
-- id alone. What no worker could apply is refused and not stored.
CREATE FUNCTION consumer.store_sign_event(verb text, user_id uuid, at timestamptz, message_id text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
$$;

-- Store a sign-in of a user and return its message id, null for a repeat. Its time is now, unless *at* says another.
-- With a message id of the application's own, such as the session's, a repeat stores nothing.
CREATE FUNCTION identity.sign_in(user_id uuid, at timestamptz DEFAULT NULL, message_id text DEFAULT NULL) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT consumer.store_sign_event('in', user_id, at, message_id)
$$;

-- Store a sign-out, as identity.sign_in stores a sign-in.
CREATE FUNCTION identity.sign_out(user_id uuid, at timestamptz DEFAULT NULL, message_id text DEFAULT NULL) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT consumer.store_sign_event('out', user_id, at, message_id)
$$;
REVOKE EXECUTE ON FUNCTION
consumer.store_app_event, consumer.store_sign_event, identity.edit_profile, identity.sign_in, identity.sign_out
FROM PUBLIC;
GRANT EXECUTE ON FUNCTION identity.edit_profile, identity.sign_in, identity.sign_out TO consumer_app;
GRANT EXECUTE ON FUNCTION consumer.store_app_event, consumer.store_sign_event TO consumer_definer;
GRANT USAGE ON SEQUENCE consumer.edit_number TO consumer_definer;
GRANT INSERT (source, message_id, event_type, user_id, occurred_at, body), SELECT (message_id)
ON consumer.outbox TO consumer_definer;
GRANT INSERT (seq) ON consumer.pending TO consumer_definer;
GRANT EXECUTE ON FUNCTION consumer.trimmed, consumer.metadata_text, consumer.metadata_id TO consumer_definer;
GRANT CREATE ON SCHEMA identity TO consumer_definer;
ALTER FUNCTION identity.edit_profile OWNER TO consumer_definer;
ALTER FUNCTION identity.sign_in OWNER TO consumer_definer;
ALTER FUNCTION identity.sign_out OWNER TO consumer_definer;
REVOKE CREATE ON SCHEMA identity FROM consumer_definer;
