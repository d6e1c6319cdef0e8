-- Retention of the log: superseded deliveries are removed, and the key of each stays, so that a repeat is known.
-- depends: 0009.erase

-- The fence: an older worker would apply the repeat of a removed delivery, and make rows anew of it.
SELECT consumer.pause_work();
INSERT INTO consumer.fence (migration, oldest_release) VALUES (10, 10);

-- Until when superseded deliveries may be missing: no state of the past before it can be told.
ALTER TABLE consumer.settings ADD COLUMN pruned_until timestamptz; -- null: nothing was removed

-- The key of a message, half of a SHA-256: 16 bytes, because one is kept of each removed delivery.
CREATE FUNCTION consumer.message_key(source text, message_id text) RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
RETURN encode(substr(sha256(convert_to(source || ' ' || message_id, 'UTF8')), 1, 16), 'hex')::uuid;

-- The keys of removed deliveries: about 85 bytes for each, with its place in the index.
CREATE TABLE consumer.pruned (
    key uuid PRIMARY KEY
);

-- The places, counted from 1, of those of these messages whose delivery was removed; the two arrays are pairs.
-- It plans for itself: a plan that was made while the table was empty would read the whole table for each message.
CREATE FUNCTION consumer.pruned_places(sources text[], message_ids text[]) RETURNS bigint[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    RETURN ARRAY(
        SELECT m.place
        FROM unnest(sources, message_ids) WITH ORDINALITY AS m (source, message_id, place)
        INNER JOIN consumer.pruned AS p ON consumer.message_key(m.source, m.message_id) = p.key
    );
END
$$;

-- Those of these deliveries that repeat a removed one: they were in flight when it was removed. They are no facts.
CREATE FUNCTION consumer.pruned_repeats(seqs bigint[]) RETURNS bigint[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
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

-- Begin to remove deliveries received before an instant, in the caller's transaction: record the instant, and let
-- nobody exclude a delivery, or take an exclusion back, until the transaction ends. A delivery that is excluded
-- meanwhile could be the one for which another is removed. Callers take turns.
CREATE FUNCTION consumer.begin_prune(until timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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

-- Remove deliveries, and keep the key of each. It is for the caller to know that they are superseded; all must be done,
-- neither ignored nor discarded, and received before the recorded instant.
CREATE FUNCTION consumer.prune(seqs bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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

-- Store and queue an event of the application in the caller's transaction; return its message id, null for a repeat.
CREATE OR REPLACE FUNCTION consumer.store_app_event(
    message_id text, event_type text, occurred_at timestamptz, data jsonb
)
RETURNS text
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
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

REVOKE EXECUTE ON FUNCTION
consumer.message_key, consumer.pruned_places, consumer.pruned_repeats, consumer.begin_prune, consumer.prune
FROM PUBLIC;
GRANT SELECT ON consumer.pruned TO consumer_receiver, consumer_worker, consumer_operator, consumer_definer;
GRANT EXECUTE ON FUNCTION consumer.message_key, consumer.pruned_places
TO consumer_receiver, consumer_worker, consumer_operator, consumer_definer;
GRANT EXECUTE ON FUNCTION consumer.pruned_repeats TO consumer_worker, consumer_operator;
GRANT EXECUTE ON FUNCTION consumer.begin_prune, consumer.prune TO consumer_operator;
GRANT INSERT ON consumer.pruned TO consumer_definer;
GRANT SELECT (pruned_until), UPDATE (pruned_until) ON consumer.settings TO consumer_definer;
GRANT SELECT (outcome), DELETE ON consumer.outcomes TO consumer_definer;
GRANT DELETE ON consumer.outbox TO consumer_definer;
-- LOCK TABLE needs the right to change rows.
GRANT UPDATE ON consumer.exclusions TO consumer_definer;
GRANT CREATE ON SCHEMA consumer TO consumer_definer;
ALTER FUNCTION consumer.begin_prune OWNER TO consumer_definer;
ALTER FUNCTION consumer.prune OWNER TO consumer_definer;
REVOKE CREATE ON SCHEMA consumer FROM consumer_definer;

-- A prune leaves dead rows in a table that is large and stays large: vacuum by count, after ten of its transactions.
ALTER TABLE consumer.outcomes SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100000);

-- step: intake
ALTER TABLE consumer.outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100000);
CREATE POLICY definer_prunes ON consumer.outbox FOR DELETE TO consumer_definer USING (TRUE);
