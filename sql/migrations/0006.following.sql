-- The state of the application's deliveries: a sign-in callback waits for its profile (`Prefer: wait=N`).
-- depends: 0005.tenants

GRANT SELECT (message_id, user_id) ON consumer.outbox TO consumer_definer;
GRANT SELECT (seq, state) ON consumer.failures TO consumer_definer;
GRANT SELECT (seq) ON consumer.outcomes TO consumer_definer;

-- The state of each stored delivery of the application, and the profile of its user; null if there is none. The
-- receiver is public: its login can read only the profiles of users that the application has just named.
CREATE FUNCTION consumer.app_deliveries(message_ids text[])
RETURNS TABLE (message_id text, state text, profile jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
    SELECT
        o.message_id,
        CASE WHEN d.seq IS NOT NULL THEN 'done' ELSE coalesce(f.state, 'pending') END AS state,
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
    FROM consumer.outbox AS o
    LEFT JOIN consumer.outcomes AS d ON o.seq = d.seq
    LEFT JOIN consumer.failures AS f ON o.seq = f.seq
    LEFT JOIN identity.profiles AS p ON o.user_id = p.user_id
    WHERE o.source = 'app' AND o.message_id = ANY(message_ids)
$$;
REVOKE EXECUTE ON FUNCTION consumer.app_deliveries FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consumer.app_deliveries TO consumer_receiver;
GRANT CREATE ON SCHEMA consumer TO consumer_definer;
ALTER FUNCTION consumer.app_deliveries OWNER TO consumer_definer;
REVOKE CREATE ON SCHEMA consumer FROM consumer_definer;
