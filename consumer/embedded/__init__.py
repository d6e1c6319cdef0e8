"""The bundled PostgreSQL server: its programs, its keeper, and the processes that share it."""
