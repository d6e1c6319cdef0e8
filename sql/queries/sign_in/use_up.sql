-- Record that somebody signs in by this link; nothing if somebody did before. It waits for one who does right now.
INSERT INTO consumer.actions (id, actor, via, role, action)
VALUES (%(id)b::uuid, %(actor)b::text, 'console', %(role)b::text, 'sign_in')
ON CONFLICT (id) DO NOTHING;
