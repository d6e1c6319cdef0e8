-- Store one message; a repeat of a stored id changes nothing.
INSERT INTO bench.inbox (message_id, body) VALUES ($1, $2)
ON CONFLICT (message_id) DO NOTHING;
