"""What several tests share: databases, deliveries, and the tables as plain values."""

import asyncio
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.errors import DuplicateObject, UniqueViolation
from psycopg.rows import dict_row

from consumer.effects import recorded_settings
from consumer.postgres import migrations, origin
from consumer.postgres.connections import connect, operator_access
from consumer.postgres.preflight import DUTIES
from consumer.postgres.queries import query
from consumer.settings.settings import ShapingSettings
from tests.support.kept import kept
from tests.support.names import own

TABLES = (
    "consumer.actions",
    "consumer.background",
    "consumer.rebuild",
    "consumer.reports",
    "consumer.hours",
    "consumer.maintenance",
    "consumer.activity",
    "consumer.suspects",
    "consumer.run_repairs",
    "consumer.run_teams",
    "consumer.runs",
    "consumer.project",
    "consumer.rehome",
    "consumer.edits",
    "consumer.memberships",
    "consumer.team_permissions",
    "identity.company_members",
    "consumer.pending",
    "consumer.failures",
    "consumer.outcomes",
    "consumer.exclusions",
    "consumer.past_exclusions",
    "consumer.outbox",
    "identity.profile_audit",
    "identity.profiles",
    "identity.stack_user_profiles",
    "identity.companies",
    "consumer.pruned",
    "consumer.settings",
    "consumer.origin",
)
EMPTY = "".join(f"DELETE FROM {table};" for table in TABLES)
HERE = """
SELECT system_identifier::text AS server, d.oid::bigint AS database_oid, datname::text AS database_name
FROM pg_control_system(), pg_database AS d WHERE datname = current_database()
"""


@contextmanager
def scratch_database(server_url: str, name: str) -> Iterator[str]:
    """Create a database for the duration, under a name of this run's own."""
    name = own(name)
    with psycopg.connect(server_url, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        conn.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
        try:
            yield make_conninfo(server_url, dbname=name)
        finally:
            conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def plain_owner(database_url: str, name: str = "owner") -> Iterator[str]:
    """Give a database to a login that is no superuser, as on managed servers, and yield that login's conninfo."""
    name = own(name)
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(f"DROP ROLE IF EXISTS {name}")
        conn.execute(f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'x'")
        for role in DUTIES:
            with suppress(DuplicateObject, UniqueViolation):  # Another run makes it.
                conn.execute(f"CREATE ROLE consumer_{role} NOLOGIN NOINHERIT")
            conn.execute(f"GRANT consumer_{role} TO {name}")
        conn.execute("GRANT consumer_viewer TO consumer_operator")
        conn.execute(f"ALTER DATABASE {conn.info.dbname} OWNER TO {name}")
        try:
            yield make_conninfo(database_url, user=name, password="x")
        finally:
            conn.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER")
            conn.execute(f"DROP OWNED BY {name}")
            conn.execute(f"DROP ROLE {name}")


@dataclass
class Kept:
    """The last session of the main thread: to connect costs more than most of what tests ask."""

    url: str = ""
    conn: psycopg.Connection | None = None


KEPT = Kept()


@contextmanager
def session(url: str) -> Iterator[psycopg.Connection]:
    """Yield a session of a database: the kept one, unless it is of another database or the server has ended it."""
    if threading.current_thread() is not threading.main_thread():
        with psycopg.connect(url, autocommit=True) as conn:
            yield conn
        return
    kept = KEPT.conn
    if kept is None or KEPT.url != url or kept.closed or select.select([kept], [], [], 0)[0]:
        if kept:
            kept.close()
        # A prepared plan fails once a test has changed its table.
        KEPT.url, KEPT.conn = url, psycopg.connect(url, autocommit=True, prepare_threshold=None)
    assert KEPT.conn
    yield KEPT.conn


def close_session() -> None:
    """Close the kept session: what it goes through must end."""
    if KEPT.conn:
        KEPT.conn.close()


def empty(database_url: str) -> None:
    """Delete every row, the recorded settings too; DELETE, for TRUNCATE costs a file per table."""
    with session(database_url) as conn:
        conn.execute(EMPTY)


def reset(database_url: str) -> None:
    """Leave what the first `migrate` leaves: no row but the default settings and the origin, recorded by its queries.

    In the kept session it takes a tenth of the time of `record_settings`, and most tests begin with it.
    """
    with session(database_url) as conn, conn.transaction():
        conn.execute(EMPTY)
        conn.execute(query("recorded_settings/record"), asdict(ShapingSettings()))
        [here] = conn.cursor(row_factory=dict_row).execute(HERE).fetchall()
        conn.execute(query("origin/record"), here)


def record_settings(database_url: str, settings: ShapingSettings | None = None) -> None:
    """Record projection settings, the default ones unless told, and the origin, as `migrate` does; without a loop."""
    asyncio.run(_record_all(database_url, settings or ShapingSettings()))


async def _record_all(database_url: str, settings: ShapingSettings) -> None:
    access = operator_access("consumer")
    async with await connect(database_url, access) as conn:
        await recorded_settings.record(conn, access, settings, worker_role="consumer_worker", is_forced=True)
        await origin.record(conn, access, is_adopted=False)


async def record(database_url: str, settings: ShapingSettings, role_prefix: str = "consumer") -> None:
    """Record projection settings as `migrate --settings` does."""
    worker_role = f"{role_prefix}_worker"
    access = operator_access(role_prefix)
    async with kept(database_url, access) as conn:
        await recorded_settings.record(conn, access, settings, worker_role=worker_role, is_forced=True)


def rows(database_url: str, statement: str) -> list[dict[str, Any]]:
    """Return the rows of a query as dicts."""
    with session(database_url) as conn:
        return conn.cursor(row_factory=dict_row).execute(statement).fetchall()


def waits_for_locks(url: str) -> bool:
    """Tell whether a session of this database waits for a lock; other tests use the same server."""
    waiting = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(rows(url, f"SELECT {waiting}"))


def change(url: str, statement: str) -> None:
    """Execute one statement."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(statement)


@contextmanager
def schema_change(url: str, change: str, undo: str) -> Iterator[None]:
    """Change the schema for the duration."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(change)
        try:
            yield
        finally:
            conn.execute(undo)


def sessions(program: str) -> str:
    """Return the query of a program's server processes in this database; conditions may follow it."""
    return (
        "SELECT pid FROM pg_stat_activity "
        f"WHERE datname = current_database() AND application_name = 'consumer {program}'"
    )


def end_sessions(url: str, program: str) -> None:
    """End a program's server processes in this database, and return when they are gone."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(f"SELECT pg_terminate_backend(pid, 10000) FROM ({sessions(program)}) AS s")


def deadlocks(database_url: str) -> int:
    """Count deadlocks since the server's last crash; a session that is still open may keep its own to itself."""
    [row] = rows(database_url, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    return int(row["deadlocks"])


@contextmanager
def migrator(conninfo: str) -> Iterator[migrations._Backend]:
    """Yield the migrator's backend in its turn."""
    with migrations._Backend(conninfo, migrations.LEDGER) as backend, backend.turn():
        yield backend


def roll_back(conninfo: str, role_prefix: str) -> list[str]:
    """Undo every migration, newest first, and return their ids; all data is lost."""
    with migrator(conninfo) as backend, migrations._carried(role_prefix) as carried:
        backend.begin_schema()
        known = backend.get_applied_migration_hashes()
        applied = sorted((each for each in carried if each.hash in known), key=attrgetter("id"), reverse=True)
        for migration in applied:
            backend.undo(migration)
        return [migration.id for migration in applied]
