-- Remove the personal values of forgotten users, among these users, from the audit.
SELECT identity.scrub_audit(%(user_ids)b::uuid[]);
