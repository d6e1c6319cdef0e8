-- Record why dead deliveries, locked by deliveries/lock_dead, can't be applied today, and the types that
-- deliveries/reread stored; unchanged reasons write nothing.
UPDATE consumer.failures AS f
SET error_code = r.error_code, error = r.error, source = o.source, event_type = o.event_type
FROM unnest(%(seqs)b::bigint[], %(error_codes)b::text[], %(errors)b::text[]) AS r (seq, error_code, error)
INNER JOIN consumer.outbox AS o ON r.seq = o.seq
WHERE
    f.seq = r.seq
    AND (f.error_code, f.error, f.source, f.event_type) IS DISTINCT FROM (
        r.error_code, r.error, o.source, o.event_type
    );
