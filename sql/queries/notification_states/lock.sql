-- Let one process at a time decide what is told, until this transaction ends.
-- A lock of maintenance, so that a stranger who holds it is named (locks/holders).
SELECT pg_advisory_xact_lock(hashtext('consumer.maintenance'), hashtext('told'));
