-- The body of one delivery with its personal values masked; null if it can't be read.
SELECT body
FROM consumer_masked.bodies
WHERE seq = %(seq)b::bigint;
