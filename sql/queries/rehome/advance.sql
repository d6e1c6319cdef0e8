-- Record the next user of a company to re-home. A page succeeded, so the attempts start from none again.
UPDATE consumer.rehome
SET
    next_user_id = %(next_user_id)b::uuid,
    attempts = 0
WHERE id = %(id)b::bigint;
