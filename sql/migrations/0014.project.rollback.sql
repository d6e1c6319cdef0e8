SELECT consumer.pause_work();
DELETE FROM consumer.fence
WHERE migration = 14;

DROP TABLE consumer.project;
