SELECT consumer.pause_work();
DELETE FROM consumer.fence
WHERE migration = 9;

DROP INDEX identity.stack_user_profiles_erased;
REVOKE SELECT (is_erased) ON identity.stack_user_profiles FROM consumer_definer;
REVOKE SELECT (event_type), UPDATE (body) ON consumer.outbox FROM consumer_definer;
DROP FUNCTION consumer.reduce_late;
DROP FUNCTION consumer.erase_bodies;
DROP FUNCTION consumer.is_erasure_stored;
