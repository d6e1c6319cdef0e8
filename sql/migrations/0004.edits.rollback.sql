DROP FUNCTION identity.sign_in, identity.sign_out, identity.edit_profile;
DROP FUNCTION consumer.store_sign_event, consumer.store_app_event;
DROP SEQUENCE consumer.edit_number;
DROP TABLE consumer.edits;
REVOKE EXECUTE ON FUNCTION consumer.trimmed, consumer.metadata_text, consumer.metadata_id FROM consumer_definer;
REVOKE INSERT (seq) ON consumer.pending FROM consumer_definer;
REVOKE INSERT (source, message_id, event_type, user_id, occurred_at, body), SELECT (message_id)
ON consumer.outbox FROM consumer_definer;
