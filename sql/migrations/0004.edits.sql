-- Edits of profiles by the application, and the SQL function to store one.
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

    WITH stored AS (
        INSERT INTO consumer.outbox (source, message_id, event_type, user_id, occurred_at, body)
        VALUES (
            'app',
            edit_id,
            'profile.edited',
            edit_profile.user_id,
            edited_at,
            convert_to(
                jsonb_build_object(
                    'type', 'profile.edited', 'data', jsonb_build_object('id', edit_profile.user_id) || edits
                )::text,
                'UTF8'
            )
        )
        RETURNING seq
    )

    INSERT INTO consumer.pending (seq)
    SELECT seq FROM stored;
    RETURN edit_id;
END
$$;
REVOKE EXECUTE ON FUNCTION identity.edit_profile FROM PUBLIC;
GRANT EXECUTE ON FUNCTION identity.edit_profile TO consumer_app;
GRANT USAGE ON SCHEMA consumer TO consumer_definer;
GRANT USAGE ON SEQUENCE consumer.edit_number TO consumer_definer;
GRANT INSERT (source, message_id, event_type, user_id, occurred_at, body), SELECT (seq)
ON consumer.outbox TO consumer_definer;
GRANT INSERT (seq) ON consumer.pending TO consumer_definer;
GRANT EXECUTE ON FUNCTION consumer.trimmed, consumer.metadata_text, consumer.metadata_id TO consumer_definer;
-- The new owner must be able to create in the schema at the moment it becomes the owner, and only then.
GRANT CREATE ON SCHEMA identity TO consumer_definer;
ALTER FUNCTION identity.edit_profile OWNER TO consumer_definer;
REVOKE CREATE ON SCHEMA identity FROM consumer_definer;
