-- Tell idle workers of this database that there is work: a hint only, they poll anyway.
SELECT pg_notify('consumer_wake', '');
