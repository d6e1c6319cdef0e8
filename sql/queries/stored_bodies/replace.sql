-- Replace bodies that hold data of a user whose erasure is stored.
SELECT consumer.erase_bodies(
    %(user_id)b::uuid,
    %(seqs)b::bigint[],
    %(bodies)b::bytea[],
    %(reduced_bodies)b::bytea[]
);
