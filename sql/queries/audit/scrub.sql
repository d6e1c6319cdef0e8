-- Take the personal values of these deleted users out of the audit, where the delete policy asks for it.
SELECT identity.scrub_audit(%(user_ids)b::uuid[])
FROM consumer.settings
WHERE delete_policy <> 'soft';
