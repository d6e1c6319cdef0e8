-- The retention of the audit: older rows are removed, one slice of time per transaction.
-- depends: 0006.following

-- step: identity
-- The start of the audit: a replay of older sign-ins does not write the removed rows again.
ALTER TABLE consumer.settings ADD COLUMN audited_since timestamptz; -- null: nothing was removed

-- Remove the next slice of the audit that is older than an instant; return how many rows it had, and the new start of
-- the audit. Only this function removes audit rows; concurrent callers take turns. The audit never starts in the
-- future: rows until then would not be audited.
CREATE FUNCTION identity.prune_audit(before timestamptz, step interval, OUT removed bigint, OUT reached timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    since timestamptz;
    found_count bigint;
BEGIN
    IF before IS NULL OR step IS NULL THEN
        RAISE EXCEPTION 'a slice of the audit needs an instant and a length' USING ERRCODE = 'invalid_parameter_value';
    END IF;

    SELECT audited_since INTO STRICT since FROM consumer.settings FOR UPDATE;
    IF since IS NULL THEN
        SELECT min(a.at) INTO since FROM identity.profile_audit AS a;
    END IF;
    reached := greatest(since, least(before, now(), since + step));

    SELECT count(*) INTO found_count FROM identity.profile_audit WHERE at >= since AND at < reached;
    DELETE FROM identity.profile_audit WHERE at >= since AND at < reached;
    GET DIAGNOSTICS removed = ROW_COUNT;
    IF removed < found_count THEN
        RAISE EXCEPTION 'removed % of % audit rows', removed, found_count USING ERRCODE = 'insufficient_privilege';
    END IF;
    UPDATE consumer.settings SET audited_since = reached;
END
$$;
REVOKE EXECUTE ON FUNCTION identity.prune_audit FROM PUBLIC;
GRANT EXECUTE ON FUNCTION identity.prune_audit TO consumer_operator;
GRANT SELECT (at), DELETE ON identity.profile_audit TO consumer_definer;
GRANT SELECT (audited_since), UPDATE (audited_since) ON consumer.settings TO consumer_definer;
GRANT CREATE ON SCHEMA identity TO consumer_definer;
ALTER FUNCTION identity.prune_audit OWNER TO consumer_definer;
REVOKE CREATE ON SCHEMA identity FROM consumer_definer;

-- step: concurrently
-- identity.prune_audit: rows lie in the order of their time.
CREATE INDEX CONCURRENTLY profile_audit_at ON identity.profile_audit USING brin (at) WITH (pages_per_range = 16);
