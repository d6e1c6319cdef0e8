-- Work under another role until the transaction ends.
SELECT set_config('role', %(role)b::text, TRUE);
