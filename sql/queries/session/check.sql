-- Whether this connection can write: false on a standby, and after a failover turned the old primary read-only.
SELECT NOT current_setting('transaction_read_only')::boolean AS is_writable;
