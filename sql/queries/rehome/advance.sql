-- Record the next user of a company to re-home.
UPDATE consumer.rehome
SET next_user_id = %(next_user_id)b::uuid
WHERE id = %(id)b::bigint;
