-- Notify idle workers of this database that there is work: only a hint, because they poll anyway.
SELECT pg_notify('consumer_wake', '');
