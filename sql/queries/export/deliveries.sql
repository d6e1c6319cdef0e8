-- The deliveries about a user, as JSON, each with its body.
SELECT
    (to_jsonb(d) || jsonb_build_object('verified_by', o.verified_by))::text AS document,
    o.body
FROM consumer.deliveries AS d
INNER JOIN consumer.outbox AS o ON d.seq = o.seq
WHERE d.user_id = %(user_id)b::uuid
ORDER BY d.seq;
