-- Store what this release reads instead of the bodies of reduced deliveries that are done.
SELECT consumer.reduce_again(
    %(seqs)b::bigint[],
    %(earlier_bodies)b::bytea[],
    %(reduced_bodies)b::bytea[]
);
