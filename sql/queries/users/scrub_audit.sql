-- Take the personal values of those of these users who are forgotten out of the audit.
SELECT identity.scrub_audit(%(user_ids)b::uuid[]);
