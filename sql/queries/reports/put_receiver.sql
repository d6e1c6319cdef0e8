-- As reports/put, for a receiver. Its role names no duty: the column's default is the receiver's.
INSERT INTO consumer.reports (
    process_id, host, pid, release, clock_skew_seconds, next_at, sources, paused_by, counters, histograms
)
VALUES (
    %(process_id)b::uuid,
    %(host)b::text,
    %(pid)b::integer,
    %(release)b::text,
    extract(EPOCH FROM %(sent_at)b::timestamptz - clock_timestamp())::double precision,
    now() + %(due_in)b::interval,
    %(sources)b::text[],
    %(paused_by)b::text,
    %(counters)b::jsonb,
    %(histograms)b::jsonb
);
