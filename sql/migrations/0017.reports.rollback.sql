SELECT consumer.pause_work();
DELETE FROM consumer.fence
WHERE migration = 17;

REVOKE SELECT ON consumer.maintenance, consumer.origin FROM consumer_worker;
ALTER TABLE consumer.maintenance DROP COLUMN place;
DROP TABLE consumer.reports, consumer.hours;
