-- Bring the profiles up to a batch of events that never leave PostgreSQL.
WITH events AS MATERIALIZED (
    SELECT convert_from(o.body, 'UTF8')::jsonb -> 'data' AS data
    FROM consumer.outbox AS o
    WHERE o.seq = ANY(%(seqs)b::bigint[])
)

INSERT INTO bench.profiles AS known (user_id, full_name, email, avatar_url, role_type, department, version)
SELECT DISTINCT ON ((e.data ->> 'id')::uuid)
    (e.data ->> 'id')::uuid,
    e.data ->> 'display_name',
    e.data ->> 'primary_email',
    e.data ->> 'profile_image_url',
    e.data -> 'server_metadata' ->> 'role',
    e.data -> 'server_metadata' ->> 'department',
    (e.data ->> 'last_active_at_millis')::bigint
FROM events AS e
ORDER BY (e.data ->> 'id')::uuid ASC, (e.data ->> 'last_active_at_millis')::bigint DESC
ON CONFLICT (user_id) DO UPDATE SET
    full_name = excluded.full_name,
    email = excluded.email,
    avatar_url = excluded.avatar_url,
    role_type = excluded.role_type,
    department = excluded.department,
    version = excluded.version
WHERE known.version < excluded.version;
