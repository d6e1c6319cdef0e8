-- Remove deliveries that this transaction has locked; keep their keys.
SELECT consumer.prune(%(seqs)b::bigint[]);
