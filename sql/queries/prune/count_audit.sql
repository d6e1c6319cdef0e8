-- How many audit rows have expired.
SELECT count(*)
FROM identity.profile_audit
WHERE at < now() - %(kept)b::interval;
