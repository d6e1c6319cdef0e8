-- Wait for locks no longer than this until the transaction ends.
SELECT set_config('lock_timeout', %(lock_timeout)b::text, TRUE);
