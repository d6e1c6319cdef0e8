-- Queue an action.
INSERT INTO consumer.background (id) VALUES (%(id)b::uuid)
ON CONFLICT (id) DO NOTHING;
