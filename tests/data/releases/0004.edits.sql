-- Rows as the release with 0004 left them: an edit, a withdrawal, and an edit that names a company.
INSERT INTO consumer.edits (user_id, field, value, version, seq)
VALUES
(pg_temp.id(1), 'role_type', 'owner', '020261105000000000000edit_1' || E'\u0001app', 1),
(pg_temp.id(1), 'department', NULL, '020261105000000000000edit_2' || E'\u0001app', 1),
(pg_temp.id(4), 'company_id', pg_temp.id(10)::text, '020261105000000000000edit_3' || E'\u0001app', 1);
