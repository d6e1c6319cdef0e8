-- Rows as the release with 0002 left them: companies, mirror, profiles and their audit.
INSERT INTO identity.companies (id, name, logo_url, settings, created_at, updated_at, deleted_at)
VALUES
(pg_temp.id(10), 'Unnamed team', NULL, '{}', '2026-11-01', '2026-11-01', NULL),
(pg_temp.id(11), ' Crew ', 'https://example.com/l', '{"theme": "dark"}', '2026-11-02', '2026-11-03', NULL),
(pg_temp.id(12), 'Gone', NULL, '{}', '2026-11-02', '2026-11-05', '2026-11-05'),
(pg_temp.id(13), 'Third', NULL, '{}', '2026-11-02', '2026-11-05', NULL);

INSERT INTO identity.stack_user_profiles (
    stack_user_id, company_id, stack_display_name, stack_primary_email, stack_metadata, is_anonymous, source_role,
    has_profile, is_forgotten, is_held, version, occurred_at, message_id, last_synced_at, sync_version, deleted_at
)
SELECT
    pg_temp.id(n),
    pg_temp.id(home),
    name,
    email,
    '{"server": null}',
    is_anonymous,
    source_role,
    NOT is_anonymous,
    is_forgotten,
    FALSE,
    '120261101000000000000msg_' || n || E'\u0001stack',
    '2026-11-01',
    'msg_' || n,
    '2026-11-02',
    n,
    deleted_at::timestamptz
FROM (
    VALUES
    (1, 11, 'José Łukasz Straße', 'a@example.com', FALSE, 'admin', FALSE, NULL),
    (2, NULL, 'Anonymous', NULL, TRUE, NULL, FALSE, NULL),
    (3, NULL, NULL, NULL, FALSE, 'admin', TRUE, '2026-11-09'),
    (4, 10, repeat('É', 300), 'd@example.com', FALSE, NULL, FALSE, NULL),
    (5, NULL, 'Homeless', NULL, FALSE, NULL, FALSE, NULL),
    (6, 10, 'Two Guest', NULL, FALSE, NULL, FALSE, NULL),
    (7, 10, 'ﬁne', NULL, FALSE, NULL, FALSE, NULL),
    (9, 10, 'Shy', NULL, TRUE, NULL, FALSE, NULL)
) AS u (n, home, name, email, is_anonymous, source_role, is_forgotten, deleted_at);

INSERT INTO identity.profiles (
    user_id, company_id, full_name, email, role_type, department, created_at, updated_at, deleted_at
)
SELECT
    m.stack_user_id,
    m.company_id,
    coalesce(m.stack_display_name, 'Deleted user'),
    m.stack_primary_email,
    coalesce(m.source_role, 'guest'),
    'Nowhere',
    '2026-11-02',
    '2026-11-03',
    m.deleted_at
FROM identity.stack_user_profiles AS m
WHERE m.has_profile;

INSERT INTO identity.profile_audit (
    at, user_id, company_id, operation, changed_fields, previous_values, new_values, source, message_id, seq
)
VALUES
('2026-11-02', pg_temp.id(1), pg_temp.id(11), 'created', '{full_name}', NULL, '{"full_name": "A"}', 'stack', 'm1', 1),
(
    '2026-11-03', pg_temp.id(1), pg_temp.id(11), 'updated', '{full_name}',
    '{"full_name": "A"}', '{"full_name": "José Łukasz Straße"}', 'stack', 'm2', 2
),
('2026-11-04', pg_temp.id(1), NULL, 'signed_in', '{}', NULL, NULL, 'app', 'app_6', 6);
