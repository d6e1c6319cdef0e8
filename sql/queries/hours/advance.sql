-- Store the place of the job, whose row this transaction has locked.
UPDATE consumer.maintenance
SET
    place = jsonb_build_object(
        'counted', %(counted)b::bigint, 'next', %(next)b::bigint, 'writers', to_jsonb(%(writers)b::text[])
    )
WHERE job = %(job)b::text;
