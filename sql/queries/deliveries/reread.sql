-- Store what this release reads in deliveries that are dead, because an earlier one could not read or apply them.
SELECT consumer.reread(
    %(seqs)b::bigint[],
    %(event_types)b::text[],
    %(user_ids)b::uuid[],
    %(team_ids)b::uuid[],
    %(reduced_bodies)b::bytea[]
);
