-- Rows made anew are made of what the present release reads in a body: a reduced body is cut again.
-- depends: 0015.reconcile

SELECT consumer.pause_work();
INSERT INTO consumer.fence (migration, oldest_release) VALUES (16, 10);

-- Store what today's release reads instead of the bodies of these deliveries. They are done, and stored with
-- earlier_bodies as their reduced bodies.
CREATE FUNCTION consumer.reduce_again(seqs bigint[], earlier_bodies bytea[], reduced_bodies bytea[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed_count bigint;
BEGIN
    UPDATE consumer.outbox AS o
    SET reduced = r.reduced
    FROM unnest(seqs, earlier_bodies, reduced_bodies) AS r (seq, earlier, reduced)
    INNER JOIN consumer.outcomes AS d ON r.seq = d.seq
    WHERE o.seq = r.seq AND o.reduced = r.earlier;
    GET DIAGNOSTICS changed_count = ROW_COUNT;

    -- An erasure may have changed a body since it was read.
    IF changed_count < cardinality(seqs) THEN
        RAISE EXCEPTION 'only % of % deliveries are done and reduced as before', changed_count, cardinality(seqs)
        USING ERRCODE = 'serialization_failure';
    END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION consumer.reduce_again FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consumer.reduce_again TO consumer_worker;
GRANT SELECT (reduced) ON consumer.outbox TO consumer_definer;
GRANT CREATE ON SCHEMA consumer TO consumer_definer;
ALTER FUNCTION consumer.reduce_again OWNER TO consumer_definer;
REVOKE CREATE ON SCHEMA consumer FROM consumer_definer;
