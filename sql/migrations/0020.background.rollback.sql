SELECT consumer.pause_work();
DELETE FROM consumer.fence
WHERE migration = 20;

DROP VIEW consumer_masked.background;
DROP TABLE consumer.background;
