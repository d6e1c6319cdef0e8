-- Forget all facts about these locked companies, but a name that only users tell of (is_named_by_users: that too). What
-- the application may refer to stays.
UPDATE identity.companies
SET
    name = CASE WHEN %(is_named_by_users)b::boolean OR version >= '1' THEN 'Unnamed team' ELSE name END,
    logo_url = CASE WHEN NOT %(is_named_by_users)b::boolean AND version < '1' THEN logo_url END,
    version = CASE WHEN %(is_named_by_users)b::boolean OR version >= '1' THEN '' ELSE version END,
    guest_key = consumer.guest_key(
        (
            SELECT s.guest_salt
            FROM consumer.settings AS s
        ),
        id
    ),
    deletion_at = NULL,
    missing_at = NULL,
    seen_at = NULL,
    deleted_at = NULL
WHERE id = ANY(%(company_ids)b::uuid[]);
