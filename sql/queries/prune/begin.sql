-- Record until when deliveries may be missing, and keep what is excluded as it is until the transaction ends.
SELECT consumer.begin_prune(%(until)b::timestamptz);
