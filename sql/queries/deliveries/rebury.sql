-- Record why dead deliveries, locked by deliveries/lock_dead, can't be applied today; unchanged reasons write nothing.
UPDATE consumer.failures AS f
SET error_code = r.error_code, error = r.error
FROM unnest(%(seqs)b::bigint[], %(error_codes)b::text[], %(errors)b::text[]) AS r (seq, error_code, error)
WHERE f.seq = r.seq AND (f.error_code, f.error) IS DISTINCT FROM (r.error_code, r.error);
