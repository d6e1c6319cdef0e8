-- Begin a run and return its id; no row if one of its kind is open.
INSERT INTO consumer.runs (id, kind, project_id, stage)
VALUES (%(run_id)b::uuid, %(kind)b::text, %(project_id)b::text, 'users')
ON CONFLICT DO NOTHING
RETURNING id;
