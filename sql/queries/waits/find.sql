-- How far each of these deliveries of the application has come, as far as the request that asks may know. A delivery
-- that was removed (prune) is done, and the request that asks repeats it.
SELECT
    request_id,
    state,
    is_repeat,
    error_code,
    error,
    profile
FROM consumer.app_deliveries(%(message_ids)b::text[], %(request_ids)b::uuid[])
UNION ALL
SELECT
    asked.request_id,
    'done' AS state,
    TRUE AS is_repeat,
    NULL AS error_code,
    NULL AS error,
    NULL AS profile
FROM unnest(%(message_ids)b::text[], %(request_ids)b::uuid[]) WITH ORDINALITY AS asked (message_id, request_id, place)
WHERE
    asked.place = ANY((
        SELECT
            CASE
                WHEN
                    EXISTS (
                        SELECT FROM consumer.pruned
                    )
                    THEN consumer.pruned_places(
                        array_fill('app'::text, ARRAY[coalesce(cardinality(%(message_ids)b::text[]), 0)]),
                        %(message_ids)b::text[]
                    )
            END
    )::bigint[])
    AND NOT EXISTS (
        SELECT FROM consumer.outbox AS o
        WHERE o.source = 'app' AND o.message_id = asked.message_id
    );
