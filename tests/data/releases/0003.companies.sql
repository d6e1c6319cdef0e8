-- Rows as the release with 0003 left them: facts about memberships, members, and a company that is being re-homed.
UPDATE identity.companies
SET version = '120261101000000000000msg_t' || E'\u0001stack'
WHERE id IN (pg_temp.id(11), pg_temp.id(13));

UPDATE identity.stack_user_profiles
SET source_company_id = pg_temp.id(10)
WHERE stack_user_id = pg_temp.id(6);

INSERT INTO consumer.memberships (
    user_id, company_id, joined_at, join_version, removal_version, removed_at, is_implied
)
SELECT
    pg_temp.id(user_number),
    pg_temp.id(team_number),
    '2026-11-01',
    '120261101000000000000msg_j' || E'\u0001stack',
    CASE WHEN removed_at IS NULL THEN '' ELSE '120261104000000000000msg_r' || E'\u0001stack' END,
    removed_at::timestamptz,
    FALSE
FROM (
    VALUES
    (1, 11, NULL), (1, 13, NULL), (4, 11, '2026-11-04'), (5, 11, NULL), (6, 11, NULL), (6, 13, NULL), (7, 12, NULL),
    (8, 11, NULL), (9, 13, NULL)
) AS m (user_number, team_number, removed_at);

-- A deleted company's members have left it.
INSERT INTO identity.company_members (company_id, user_id, joined_at, removed_at, permissions)
SELECT
    f.company_id,
    f.user_id,
    f.joined_at,
    least(f.removed_at, c.deleted_at),
    CASE WHEN f.user_id = pg_temp.id(6) THEN '{$read,write}' ELSE '{}' END::text[]
FROM consumer.memberships AS f
INNER JOIN identity.companies AS c ON f.company_id = c.id;

INSERT INTO consumer.team_permissions (user_id, company_id, permission_id, version, is_present)
VALUES
(pg_temp.id(6), pg_temp.id(11), 'write', 'v', TRUE),
(pg_temp.id(6), pg_temp.id(11), 'gone', 'v', FALSE);

INSERT INTO consumer.rehome (company_id, next_user_id, last_user_id, attempts, due_at, seq)
VALUES (pg_temp.id(12), pg_temp.id(5), pg_temp.id(7), 2, '2999-01-01', 3);
