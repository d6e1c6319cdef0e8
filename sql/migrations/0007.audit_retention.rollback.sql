DROP FUNCTION identity.prune_audit;
REVOKE SELECT (audited_since), UPDATE (audited_since) ON consumer.settings FROM consumer_definer;
REVOKE SELECT (at), DELETE ON identity.profile_audit FROM consumer_definer;
DROP INDEX identity.profile_audit_at;
ALTER TABLE consumer.settings DROP COLUMN audited_since;
