-- Lock the job's row until the transaction ends, and return until where deliveries are counted, until where they can be
-- counted next, and the transactions that had to end before.
SELECT
    coalesce((place ->> 'counted')::bigint, 0) AS counted,
    coalesce((place ->> 'next')::bigint, 0) AS next,
    ARRAY(SELECT jsonb_array_elements_text(coalesce(place -> 'writers', '[]'))) AS writers
FROM consumer.maintenance
WHERE job = %(job)b::text
FOR UPDATE;
