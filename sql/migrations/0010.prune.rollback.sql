SELECT consumer.pause_work();
DELETE FROM consumer.fence
WHERE migration = 10;

DROP POLICY definer_prunes ON consumer.outbox;
ALTER TABLE consumer.outbox RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);
ALTER TABLE consumer.outcomes RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);
REVOKE UPDATE ON consumer.exclusions FROM consumer_definer;
REVOKE DELETE ON consumer.outbox FROM consumer_definer;
REVOKE SELECT (outcome), DELETE ON consumer.outcomes FROM consumer_definer;
REVOKE SELECT (pruned_until), UPDATE (pruned_until) ON consumer.settings FROM consumer_definer;

CREATE OR REPLACE FUNCTION consumer.store_app_event(
    message_id text, event_type text, occurred_at timestamptz, data jsonb
)
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

DROP FUNCTION consumer.prune, consumer.begin_prune, consumer.pruned_repeats, consumer.pruned_places;
DROP TABLE consumer.pruned;
DROP FUNCTION consumer.message_key;
ALTER TABLE consumer.settings DROP COLUMN pruned_until;
