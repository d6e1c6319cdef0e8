-- Tell the server from one that a dump was restored to, which gives each table another number.
SELECT 'consumer.outbox ' || 'consumer.outbox'::regclass::oid::text;
