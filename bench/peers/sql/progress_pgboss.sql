-- How many jobs wait to be fetched, how many are done.
SELECT
    count(*) FILTER (WHERE j.state < 'active') AS ready,
    count(*) FILTER (WHERE j.state = 'completed') AS completed
FROM pgboss.job AS j
WHERE j.name = 'events';
