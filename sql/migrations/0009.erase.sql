-- Erasure: stored bodies may lose a person's data, and nothing else of a stored delivery ever changes.
-- depends: 0008.recovery

-- An older worker would apply a late delivery about an erased user, and leave the body as it came.
SELECT consumer.pause_work();
INSERT INTO consumer.fence (migration, oldest_release) VALUES (9, 9);

-- Whether the erasure of a user is stored.
CREATE FUNCTION consumer.is_erasure_stored(of_user uuid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM consumer.outbox AS o
        WHERE
            o.source = 'operator'
            AND o.message_id = 'erase:' || of_user
            AND o.event_type = 'user.erased'
            AND o.user_id = of_user
    )
$$;

-- Replace bodies that hold data of a user whose erasure is stored. What a prune has removed meanwhile is gone.
CREATE FUNCTION consumer.erase_bodies(of_user uuid, seqs bigint[], bodies bytea[], reduced_bodies bytea[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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

-- Replace the bodies of late deliveries about users that are erased.
CREATE FUNCTION consumer.reduce_late(seqs bigint[], bodies bytea[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
REVOKE EXECUTE ON FUNCTION consumer.is_erasure_stored, consumer.erase_bodies, consumer.reduce_late FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consumer.is_erasure_stored TO consumer_definer;
GRANT EXECUTE ON FUNCTION consumer.erase_bodies TO consumer_operator;
GRANT EXECUTE ON FUNCTION consumer.reduce_late TO consumer_worker;
GRANT SELECT (event_type), UPDATE (body) ON consumer.outbox TO consumer_definer;
GRANT CREATE ON SCHEMA consumer TO consumer_definer;
ALTER FUNCTION consumer.erase_bodies OWNER TO consumer_definer;
ALTER FUNCTION consumer.reduce_late OWNER TO consumer_definer;
REVOKE CREATE ON SCHEMA consumer FROM consumer_definer;

-- step: identity
GRANT SELECT (is_erased) ON identity.stack_user_profiles TO consumer_definer;

-- step: concurrently
-- late/erased: of the users of each batch, those few that are erased.
CREATE INDEX CONCURRENTLY stack_user_profiles_erased ON identity.stack_user_profiles (stack_user_id) WHERE is_erased;
