-- The newest actions on a delivery that named it by its number or message id, of the newest thousand of all actions; at
-- most `size`.
SELECT
    n.id,
    n.at,
    n.actor,
    n.action,
    n.reason
FROM (
    SELECT
        id,
        at,
        actor,
        action,
        filter,
        reason
    FROM consumer_masked.actions
    ORDER BY at DESC, id DESC
    LIMIT 1000
) AS n
WHERE
    n.action IN ('retry', 'replay', 'discard', 'undiscard')
    AND (
        n.filter -> 'seqs' @> to_jsonb(%(seq)b::bigint)
        OR (
            n.filter -> 'message_ids' ? %(message_id)b::text
            AND coalesce(n.filter ->> 'source', %(source)b::text) = %(source)b::text
        )
    )
ORDER BY n.at DESC, n.id DESC
LIMIT %(size)b::integer;
