-- The schema itself stays: the migration ledger lives in it.
DROP VIEW consumer.queue_stats, consumer.deliveries;
DROP TABLE consumer.exclusions,
consumer.outcomes,
consumer.failures,
consumer.pending,
consumer.outbox,
consumer.fence,
consumer.settings;
DROP FUNCTION consumer.begin_work, consumer.pause_work, consumer.is_stored_now;

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY[
        'consumer_receiver', 'consumer_worker', 'consumer_operator', 'consumer_app', 'consumer_tenant', 'consumer_definer'
    ] LOOP
        EXECUTE format('DROP OWNED BY %I', role_name);
        BEGIN
            EXECUTE format('DROP ROLE %I', role_name);
        EXCEPTION
            -- Another database of this cluster still uses it.
            WHEN dependent_objects_still_exist THEN NULL;
        END;
    END LOOP;
END
$$;
