-- The instant before which superseded deliveries may be missing; null if none was removed.
SELECT s.pruned_until
FROM consumer.settings AS s;
