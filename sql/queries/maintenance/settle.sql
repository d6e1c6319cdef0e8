-- A command has done by hand what the last run of a job left: forget its remark and its error.
UPDATE consumer.maintenance
SET
    remark = NULL,
    error = NULL
WHERE job = %(job)b::text;
