-- Bring one profile up to one event; an older event changes nothing.
INSERT INTO bench.profiles AS known (user_id, full_name, email, avatar_url, role_type, department, version)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (user_id) DO UPDATE SET
    full_name = excluded.full_name,
    email = excluded.email,
    avatar_url = excluded.avatar_url,
    role_type = excluded.role_type,
    department = excluded.department,
    version = excluded.version
WHERE known.version < excluded.version;
