REVOKE UPDATE (event_type, user_id, team_id, reduced) ON consumer.outbox FROM consumer_definer;
DROP FUNCTION consumer.reread;
DROP FUNCTION consumer.app_deliveries;
REVOKE SELECT (seq) ON consumer.outcomes FROM consumer_definer;
REVOKE SELECT (seq, state, error_code, error) ON consumer.failures FROM consumer_definer;
REVOKE SELECT (user_id, request_id) ON consumer.outbox FROM consumer_definer;
