-- The number of the oldest release that may work on this database; 0 if any may.
SELECT coalesce(max(oldest_release), 0)
FROM consumer.fence;
