"""The effects of events on the tables: SQL over the claimed batch, so that bodies never leave PostgreSQL."""
