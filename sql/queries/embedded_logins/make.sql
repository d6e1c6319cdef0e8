-- Make the logins of an embedded server as its superuser, one for each kind of process, and let the migrator own the
-- database. A repeat changes nothing.
DO $$
DECLARE
    prefix CONSTANT text := current_setting('consumer.role_prefix');
    migrator CONSTANT text := prefix || '_migrator_login';
    superuser CONSTANT oid := current_user::regrole;
    is_ours CONSTANT boolean := (SELECT datdba = superuser FROM pg_database WHERE datname = current_database());
    duty text;
    login text;
    statement text;
BEGIN
    -- Processes that start together take turns.
    PERFORM pg_advisory_xact_lock(7305013982002);
    FOREACH login IN ARRAY ARRAY['receiver', 'worker', 'operator', 'migrator'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = prefix || '_' || login || '_login') THEN
            EXECUTE format('CREATE ROLE %I LOGIN', prefix || '_' || login || '_login');
        END IF;
    END LOOP;
    EXECUTE format('ALTER ROLE %I CREATEROLE', migrator);

    -- The migrations find the roles made.
    FOREACH duty IN ARRAY string_to_array(current_setting('consumer.duties'), ',') LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = prefix || '_' || duty) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', prefix || '_' || duty);
        END IF;
        EXECUTE format('GRANT %I TO %I WITH ADMIN OPTION', prefix || '_' || duty, migrator);
        IF duty IN ('receiver', 'worker', 'operator') THEN
            EXECUTE format('GRANT %I TO %I', prefix || '_' || duty, prefix || '_' || duty || '_login');
        END IF;
    END LOOP;
    -- The operator's checks look at the transactions of the other logins.
    EXECUTE format('GRANT pg_read_all_stats TO %I', prefix || '_operator_login');

    -- What the superuser made before there were logins.
    IF is_ours THEN
        EXECUTE format('ALTER DATABASE %I OWNER TO %I', current_database(), migrator);
        FOR statement IN
            SELECT format('ALTER SCHEMA %I OWNER TO %I', n.nspname, migrator)
            FROM pg_namespace AS n
            WHERE n.nspowner = superuser AND n.nspname IN ('consumer', 'consumer_masked', 'identity')
            UNION ALL
            SELECT format('ALTER TABLE %s OWNER TO %I', c.oid::regclass, migrator)
            FROM pg_class AS c
            WHERE
                c.relowner = superuser
                AND c.relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('consumer', 'consumer_masked', 'identity'))
                AND (
                    c.relkind IN ('r', 'v')
                    OR (
                        c.relkind = 'S'
                        AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = c.oid AND d.deptype IN ('a', 'i'))
                    )
                )
            UNION ALL
            SELECT format('ALTER FUNCTION %s OWNER TO %I', p.oid::regprocedure, migrator)
            FROM pg_proc AS p
            WHERE
                p.proowner = superuser
                AND p.pronamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('consumer', 'consumer_masked', 'identity'))
        LOOP
            EXECUTE statement;
        END LOOP;
    END IF;
END
$$;
