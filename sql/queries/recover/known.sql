-- Those of the message ids that Stack's webhooks or a recovery have stored already, be it that prune has removed them.
SELECT message_id
FROM consumer.outbox
WHERE source = 'stack' AND message_id = ANY(%(message_ids)b::text[])
UNION
SELECT m.message_id
FROM unnest(%(message_ids)b::text[]) AS m (message_id)
WHERE EXISTS (
        SELECT FROM consumer.pruned AS p
        WHERE p.key = consumer.message_key('stack', m.message_id)
    );
