-- Write an action down, or count what more it affected.
INSERT INTO consumer.actions AS a (id, actor, via, role, action, filter, seen_count, affected, reason)
VALUES (
    %(id)b::uuid,
    %(actor)b::text,
    %(via)b::text,
    %(role)b::text,
    %(action)b::text,
    %(filter)b::jsonb,
    %(seen_count)b::bigint,
    %(affected)b::bigint,
    %(reason)b::text
)
ON CONFLICT (id) DO UPDATE SET affected = a.affected + excluded.affected;
