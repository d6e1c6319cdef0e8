"""What several tests share: databases, deliveries, and the tables as plain values."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.errors import DuplicateObject
from psycopg.rows import dict_row

from consumer.effects import recorded_settings
from consumer.effects.apply import apply
from consumer.outbox import queue, storage
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import (
    Connection,
    connect,
    operator_access,
    receiver_access,
    transaction,
    worker_access,
)
from consumer.settings.settings import ShapingSettings
from consumer.worker import rehome

TABLES = (
    "consumer.rehome",
    "consumer.edits",
    "consumer.memberships",
    "consumer.team_permissions",
    "identity.company_members",
    "consumer.pending",
    "consumer.failures",
    "consumer.outcomes",
    "consumer.exclusions",
    "consumer.outbox",
    "identity.profile_audit",
    "identity.profiles",
    "identity.stack_user_profiles",
    "identity.companies",
    "consumer.settings",
)


@contextmanager
def scratch_database(server_url: str, name: str) -> Iterator[str]:
    """Create a database for the duration, replacing a left-over of the same name."""
    with psycopg.connect(server_url, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        conn.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
        yield make_conninfo(server_url, dbname=name)
        conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def plain_owner(database_url: str) -> Iterator[str]:
    """Give a database to a login that is no superuser, as on managed servers, and yield that login's conninfo."""
    name = "plain_test_owner"
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(f"DROP ROLE IF EXISTS {name}")
        conn.execute(f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'x'")
        for role in ("receiver", "worker", "operator", "app", "tenant", "definer"):
            with suppress(DuplicateObject):
                conn.execute(f"CREATE ROLE consumer_{role} NOLOGIN NOINHERIT")
            conn.execute(f"GRANT consumer_{role} TO {name}")
        conn.execute(f"ALTER DATABASE {conn.info.dbname} OWNER TO {name}")
        try:
            yield make_conninfo(database_url, user=name, password="x")
        finally:
            conn.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER")
            conn.execute(f"DROP OWNED BY {name}")
            conn.execute(f"DROP ROLE {name}")


def empty(database_url: str) -> None:
    """Delete every row, the recorded settings too; DELETE, for TRUNCATE costs a file per table."""
    with psycopg.connect(database_url) as conn:
        for table in TABLES:
            conn.execute(f"DELETE FROM {table}")


async def record(database_url: str, settings: ShapingSettings, role_prefix: str = "consumer") -> None:
    """Record projection settings as `migrate --settings` does."""
    worker_role = f"{role_prefix}_worker"
    async with await connect(database_url, operator_access(role_prefix)) as conn, conn.transaction():
        await recorded_settings.record(conn, settings, worker_role=worker_role, is_forced=True)


async def put(conn: Connection, deliveries: Sequence[Delivery]) -> None:
    """Store deliveries as the receiver does."""
    async with transaction(conn, receiver_access("consumer")):
        await storage.put(conn, deliveries)


async def apply_next(conn: Connection, batch_size: int) -> dict[int, str]:
    """Claim and apply one batch as the worker does."""
    async with transaction(conn, worker_access("consumer")):
        due = await queue.claim_retries(conn, batch_size=batch_size)
        claimed = due + await queue.claim(conn, after_seq=0, batch_size=batch_size - len(due))
        return await apply(conn, claimed)


async def rehome_next(conn: Connection, page_size: int = rehome.PAGE_SIZE) -> bool:
    """Re-home one page of users as the worker does; return whether any waited."""
    async with transaction(conn, worker_access("consumer")):
        return await rehome.run_page(conn, lambda _: timedelta(0), page_size) is not None


def rows(database_url: str, statement: str) -> list[dict[str, Any]]:
    """Return the rows of a query as dicts."""
    with psycopg.connect(database_url, row_factory=dict_row) as conn:
        return conn.execute(statement).fetchall()


@contextmanager
def schema_change(url: str, change: str, undo: str) -> Iterator[None]:
    """Change the schema for the duration."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(change)
        try:
            yield
        finally:
            conn.execute(undo)


def deadlocks(database_url: str) -> int:
    """Count deadlocks since the server's last crash; a session that is still open may keep its own to itself."""
    [row] = rows(database_url, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    return int(row["deadlocks"])


async def replay_everything(database_url: str, *, batch_size: int) -> None:
    """Queue every delivery again and drain."""
    async with await connect(database_url, worker_access("consumer")) as conn:
        async with conn.transaction():
            await conn.execute("DELETE FROM consumer.outcomes")
            await conn.execute("INSERT INTO consumer.pending (seq) SELECT seq FROM consumer.outbox")
        while await apply_next(conn, batch_size) or await rehome_next(conn):
            pass
