-- Lock an action that is still at this place; none if another process has it or has done the page.
SELECT id
FROM consumer.background
WHERE id = %(id)b::uuid AND finished_at IS NULL AND place = %(place)b::jsonb
FOR UPDATE SKIP LOCKED;
