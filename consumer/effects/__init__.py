"""What an event does to the tables: SQL over the claimed batch, so that bodies never leave PostgreSQL."""
