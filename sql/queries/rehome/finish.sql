-- Note that all users of a company were looked through.
DELETE FROM consumer.rehome
WHERE id = %(id)b::bigint;
