-- Store what this release reads in deliveries that an earlier one could not read or apply; each body stays as signed.
UPDATE consumer.outbox AS o
SET
    event_type = r.event_type,
    user_id = r.user_id,
    team_id = r.team_id,
    reduced = r.reduced
FROM unnest(
    %(seqs)b::bigint[],
    %(event_types)b::text[],
    %(user_ids)b::uuid[],
    %(team_ids)b::uuid[],
    %(reduced_bodies)b::bytea[]
) AS r (seq, event_type, user_id, team_id, reduced)
WHERE o.seq = r.seq;
