"""A database that is not migrated yet, and logins of each kind that may come to migrate it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from consumer.postgres.preflight import DUTIES
from tests.support.databases import rows, scratch_database

PREFIX = "looked_at"
ROLES = [f"{PREFIX}_{duty}" for duty in DUTIES]
# All that `migrate` could leave behind: schemas and objects of ours, the server's roles, and locks.
TRACES = f"""
SELECT 'schema' AS kind, nspname AS name FROM pg_namespace WHERE nspname IN ('consumer', 'consumer_masked', 'identity')
UNION ALL
SELECT 'object', c.oid::text || c.relname FROM pg_class AS c INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE n.nspname IN ('consumer', 'consumer_masked', 'identity')
UNION ALL
SELECT 'role', rolname FROM pg_roles WHERE rolname LIKE '{PREFIX}%'
UNION ALL
SELECT 'member', m.roleid::regrole::text || m.member::regrole::text FROM pg_auth_members AS m
UNION ALL
SELECT 'lock', objid::text FROM pg_locks
WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY kind, name
"""


@pytest.fixture
def bare_url(lone_server_url: str) -> Iterator[str]:
    """A superuser's conninfo of an empty database on a server without the roles of PREFIX."""
    with scratch_database(lone_server_url, "bare") as url:
        yield url
    with psycopg.connect(lone_server_url, autocommit=True) as conn:
        for role in ROLES:
            conn.execute(f"DROP ROLE IF EXISTS {role}")


@contextmanager
def login(url: str, rights: str = "CREATEROLE", name: str = "some_login") -> Iterator[str]:
    """A login with these rights, which may create schemas in the database, and its conninfo."""
    with psycopg.connect(url, autocommit=True) as admin:
        database = psycopg.sql.Identifier(admin.info.dbname)
        quoted = psycopg.sql.Identifier(name)
        admin.execute(psycopg.sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x' " + rights).format(quoted))
        admin.execute(psycopg.sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(database, quoted))
        try:
            yield make_conninfo(url, user=name, password="x")
        finally:
            admin.execute(psycopg.sql.SQL("DROP OWNED BY {} CASCADE").format(quoted))
            for role in ROLES:
                admin.execute(f"DROP ROLE IF EXISTS {role}")
            admin.execute(psycopg.sql.SQL("DROP ROLE {}").format(quoted))


def traces(url: str) -> list[dict[str, Any]]:
    """Return what `migrate` changes, to be compared with what it was before."""
    return rows(url, TRACES)
