-- The database's clock, which every stored time comes from.
SELECT now() AS now;
