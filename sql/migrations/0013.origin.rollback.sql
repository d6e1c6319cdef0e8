SELECT consumer.pause_work();
DELETE FROM consumer.fence
WHERE migration = 13;

DROP TABLE consumer.origin;
