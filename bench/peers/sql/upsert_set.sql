-- Bring the profiles up to a batch of events whose fields the worker has read.
INSERT INTO bench.profiles AS known (user_id, full_name, email, avatar_url, role_type, department, version)
SELECT DISTINCT ON (e.user_id)
    e.user_id,
    e.full_name,
    e.email,
    e.avatar_url,
    e.role_type,
    e.department,
    e.version
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
        AS e (user_id, full_name, email, avatar_url, role_type, department, version)
ORDER BY e.user_id ASC, e.version DESC
ON CONFLICT (user_id) DO UPDATE SET
    full_name = excluded.full_name,
    email = excluded.email,
    avatar_url = excluded.avatar_url,
    role_type = excluded.role_type,
    department = excluded.department,
    version = excluded.version
WHERE known.version < excluded.version;
