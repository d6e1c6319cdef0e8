-- Remove the next slice of expired audit rows; return how many rows it had, and whether more may follow.
SELECT
    removed,
    coalesce(reached < now() - %(kept)b::interval, FALSE) AS is_more
FROM identity.prune_audit(now() - %(kept)b::interval, %(step)b::interval);
