DROP FUNCTION identity.edit_profile;
DROP SEQUENCE consumer.edit_number;
DROP TABLE consumer.edits;
REVOKE EXECUTE ON FUNCTION consumer.trimmed, consumer.metadata_text, consumer.metadata_id FROM consumer_definer;
REVOKE INSERT (seq) ON consumer.pending FROM consumer_definer;
REVOKE INSERT (source, message_id, event_type, user_id, occurred_at, body), SELECT (seq)
ON consumer.outbox FROM consumer_definer;
REVOKE USAGE ON SCHEMA consumer FROM consumer_definer;
