SELECT consumer.pause_work();
DELETE FROM consumer.fence
WHERE migration = 16;

REVOKE SELECT (reduced) ON consumer.outbox FROM consumer_definer;
DROP FUNCTION consumer.reduce_again;
