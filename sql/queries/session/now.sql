-- The database's clock, the source of every stored time.
SELECT now() AS now;
