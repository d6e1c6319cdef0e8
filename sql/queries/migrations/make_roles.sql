-- Make the roles that are missing, and let the login take them: a dump carries no roles. An operator may take the
-- viewer's, so that its login can see as little as a viewer.
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY[
        'consumer_receiver',
        'consumer_worker',
        'consumer_operator',
        'consumer_viewer',
        'consumer_app',
        'consumer_tenant',
        'consumer_definer',
        'consumer_masker'
    ] LOOP
        BEGIN
            -- A login that may not create roles can have them created beforehand: the mere attempt would be refused.
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', role_name);
            END IF;
        EXCEPTION
            -- Roles are cluster-wide: another database of this cluster is creating the role now.
            WHEN duplicate_object OR unique_violation THEN NULL;
        END;
        BEGIN
            EXECUTE format('GRANT %I TO CURRENT_USER', role_name);
        EXCEPTION
            -- Somebody else created the role and may have granted it already; if not, its first use fails.
            WHEN insufficient_privilege THEN NULL;
        END;
    END LOOP;
    BEGIN
        IF NOT pg_has_role('consumer_operator', 'consumer_viewer', 'MEMBER') THEN
            GRANT consumer_viewer TO consumer_operator;
        END IF;
    EXCEPTION
        WHEN insufficient_privilege THEN NULL;
    END;
END
$$;
