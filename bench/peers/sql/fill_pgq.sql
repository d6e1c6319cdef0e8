-- Queue a batch of events.
SELECT count(pgq.insert_event('events', 'user.updated', e.body)) FROM unnest($1::text[]) AS e (body);
