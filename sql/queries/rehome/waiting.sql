-- How many companies wait whose users are to be re-homed; one with several ranges of users counts once.
SELECT count(DISTINCT company_id) AS waiting
FROM consumer.rehome;
