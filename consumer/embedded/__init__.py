"""The bundled PostgreSQL server: made, shared and stopped by the processes that use it."""
