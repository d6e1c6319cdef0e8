SELECT consumer.pause_work();
DELETE FROM consumer.fence
WHERE migration = 12;

DROP TABLE consumer.activity, consumer.maintenance;
