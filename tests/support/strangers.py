"""A login that is a member of nothing, in a session of its own."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import make_conninfo

from tests.support.databases import change
from tests.support.names import own

APPLICATION = "shop"
# The session's keys of the migrators, as two 32-bit halves of one number; and of each company's stripe.
MIGRATIONS = "SELECT pg_advisory_lock(7305013982001)"
COMPANIES = "SELECT pg_advisory_lock{}(hashtext('consumer.companies'), stripe) FROM generate_series(0, 255) AS stripe"


@contextmanager
def stranger(url: str, name: str = "stranger", application: str = APPLICATION) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection of a new login without any right but to connect."""
    login = own(name)
    change(url, f"CREATE ROLE {login} LOGIN PASSWORD 'x'")
    try:
        conninfo = make_conninfo(url, user=login, password="x", application_name=application)
        with psycopg.connect(conninfo, autocommit=True) as conn:
            yield conn
    finally:
        change(url, f"DROP ROLE {login}")
