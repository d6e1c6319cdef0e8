-- The state of the application's deliveries: a sign-in callback waits for its profile (`Prefer: wait=N`).
-- depends: 0005.tenants

GRANT SELECT (user_id, request_id) ON consumer.outbox TO consumer_definer;
GRANT SELECT (seq, state, error_code, error) ON consumer.failures TO consumer_definer;
GRANT SELECT (seq) ON consumer.outcomes TO consumer_definer;

-- How far each of these deliveries of the application has come, for the request that asks; the two arrays are pairs. A
-- request that did not store the delivery itself is a repeat: anybody who captured a signed request can send it again,
-- so it learns the state and no more. The other one gets the error, and once it is done the profile of its user; null
-- if there is none.
CREATE FUNCTION consumer.app_deliveries(message_ids text[], request_ids uuid[])
RETURNS TABLE (request_id uuid, state text, is_repeat boolean, error_code text, error text, profile jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
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
REVOKE EXECUTE ON FUNCTION consumer.app_deliveries FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consumer.app_deliveries TO consumer_receiver;

-- Store what today's release reads in dead deliveries. Nothing was applied of them, and each body stays as signed.
CREATE FUNCTION consumer.reread(
    seqs bigint[], event_types text[], user_ids uuid[], team_ids uuid[], reduced_bodies bytea[]
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
REVOKE EXECUTE ON FUNCTION consumer.reread FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consumer.reread TO consumer_operator;
GRANT UPDATE (event_type, user_id, team_id, reduced) ON consumer.outbox TO consumer_definer;
GRANT CREATE ON SCHEMA consumer TO consumer_definer;
ALTER FUNCTION consumer.app_deliveries OWNER TO consumer_definer;
ALTER FUNCTION consumer.reread OWNER TO consumer_definer;
REVOKE CREATE ON SCHEMA consumer FROM consumer_definer;
