SELECT consumer.pause_work();
DELETE FROM consumer.fence
WHERE migration = 11;

DROP TABLE consumer.run_teams, consumer.runs;
