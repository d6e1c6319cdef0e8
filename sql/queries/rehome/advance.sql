-- Note where to go on with a company.
UPDATE consumer.rehome
SET next_user_id = %(next_user_id)b::uuid
WHERE id = %(id)b::bigint;
