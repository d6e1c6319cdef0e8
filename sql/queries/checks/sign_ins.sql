-- How many sign-ins the audit has recorded.
SELECT count(*) AS sign_ins
FROM identity.profile_audit
WHERE operation = 'signed_in';
