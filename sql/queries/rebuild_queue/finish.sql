-- Take what was made anew out of the queue.
DELETE FROM consumer.rebuild
WHERE stage = %(stage)b::smallint AND id = ANY(%(ids)b::uuid[]);
