"""PostgreSQL as this package uses it: connections, queries, migrations and the classes of its errors."""
