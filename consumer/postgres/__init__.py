"""PostgreSQL for this package: connections, queries, migrations and the classes of its errors."""
