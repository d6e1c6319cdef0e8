-- The rest of this transaction can change nothing.
SELECT set_config('transaction_read_only', 'on', TRUE);
