-- Remove a company from the queue after its last page.
DELETE FROM consumer.rehome
WHERE id = %(id)b::bigint;
