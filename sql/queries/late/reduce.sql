-- Replace the bodies of late deliveries about erased users.
SELECT consumer.reduce_late(%(seqs)b::bigint[], %(bodies)b::bytea[]);
