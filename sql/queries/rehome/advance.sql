-- Record the next user of a company to re-home. A page succeeded, so the next one may be twice as large.
UPDATE consumer.rehome
SET
    next_user_id = %(next_user_id)b::uuid,
    attempts = greatest(attempts - 1, 0)
WHERE id = %(id)b::bigint;
