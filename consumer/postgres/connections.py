"""Connections, pools and transactions: every one with its role, its limits and its name."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

import psycopg
from psycopg import AsyncConnection, IsolationLevel
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from consumer.postgres import session


class Connection(AsyncConnection[TupleRow]):
    """A connection; *is_entered* tells that its whole session has its role and limits, not only a transaction."""

    is_entered = False


Pool = AsyncConnectionPool[Connection]
# Told how an attempt to connect failed, or None when it did not.
Attempted = Callable[[Exception | None], None]

# How long a lost peer goes unnoticed on an idle connection: 30 s, then three probes 5 s apart (reliability: half-open).
KEEPALIVE = {"keepalives_idle": "30", "keepalives_interval": "5", "keepalives_count": "3"}

# How long a pool goes on with one round of attempts; the attempts are as far apart.
RECONNECT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Access:
    """Who a process is in the database and how long it may take."""

    name: str
    role: str
    connect_timeout: timedelta
    unacknowledged_timeout: timedelta
    statement_timeout: timedelta
    lock_timeout: timedelta
    idle_timeout: timedelta
    synchronous_commit: str = "on"


def receiver_access(role_prefix: str) -> Access:
    """Return the receiver's access: its limits together stay under the sender's 15 s."""
    return Access(
        name="consumer receiver",
        role=f"{role_prefix}_receiver",
        connect_timeout=timedelta(seconds=3),
        unacknowledged_timeout=timedelta(seconds=4),
        statement_timeout=timedelta(seconds=3),
        lock_timeout=timedelta(seconds=2),
        idle_timeout=timedelta(seconds=5),
    )


def worker_access(role_prefix: str) -> Access:
    """Return the worker's access: a vanished worker's rows are free again within 10 s."""
    return Access(
        name="consumer worker",
        role=f"{role_prefix}_worker",
        connect_timeout=timedelta(seconds=5),
        unacknowledged_timeout=timedelta(seconds=10),
        statement_timeout=timedelta(seconds=30),
        lock_timeout=timedelta(seconds=3),
        idle_timeout=timedelta(seconds=10),
    )


def operator_access(role_prefix: str) -> Access:
    """Return the command line's access: a person waits, so statements may be long and locks may not."""
    return Access(
        name="consumer operator",
        role=f"{role_prefix}_operator",
        connect_timeout=timedelta(seconds=5),
        unacknowledged_timeout=timedelta(seconds=10),
        statement_timeout=timedelta(minutes=10),
        lock_timeout=timedelta(seconds=5),
        idle_timeout=timedelta(seconds=60),
    )


async def connect(conninfo: str, access: Access) -> Connection:
    """Open an autocommit connection; OperationalError when the server does not answer in time."""
    conn = await Connection.connect(_conninfo(conninfo, access), **_CONNECTION)
    await conn.set_isolation_level(IsolationLevel.READ_COMMITTED)
    return conn


# No prepared statements: PgBouncer before 1.21 in transaction mode loses them (42P05), and a plan made for the batch at
# hand costs a worker little beside its work.
_CONNECTION: dict[str, Any] = {"autocommit": True, "prepare_threshold": None}


async def enter(conn: Connection, access: Access) -> bool:
    """Give the whole session its role and limits, and return True, if the server itself answered the connect.

    Behind a pooler, which lends the session to others, nothing is changed: each transaction enters by itself.
    """
    if await session.backend_pid(conn) == conn.info.backend_pid:
        await session.enter(conn, _limits(access), is_local=False)
        conn.is_entered = True
    return conn.is_entered


@asynccontextmanager
async def open_pool(
    conninfo: str, access: Access, *, size: int, wait_timeout: timedelta, attempted: Attempted = lambda _: None
) -> AsyncIterator[Pool]:
    """Open a pool of *size* connections; it opens even while the database is away, and tells *attempted* of each try.

    Connections are not checked before they are lent: psycopg_pool pauses a second after each one that fails, and after
    a restart all of them do. A borrower whose connection turns out to be lost drains the pool and asks again.
    """

    async def prepare(conn: Connection) -> None:
        try:
            await conn.set_isolation_level(IsolationLevel.READ_COMMITTED)
            # Statements prepared at once save a receiver a fifth of each batch.
            if await enter(conn, access):
                conn.prepare_threshold = 0
        except psycopg.Error as error:
            attempted(error)
            raise
        attempted(None)

    pool: Pool = AsyncConnectionPool(
        _conninfo(conninfo, access),
        connection_class=_reporting(attempted),
        kwargs=_CONNECTION,
        min_size=size,
        max_size=size,
        timeout=wait_timeout.total_seconds(),
        # The default of 300 s backs off so far that recovery came 18.5 s late.
        reconnect_timeout=RECONNECT_SECONDS,
        # After the last round only a borrower would begin another, and the pool turns all of them away once those who
        # gave up have filled its queue: an outage of 40 s never ended (psycopg_pool 3.3.3).
        reconnect_failed=_try_again,
        max_waiting=4 * size,
        configure=prepare,
        name=access.name,
        open=False,
    )
    await pool.open(wait=False)
    try:
        yield pool
    finally:
        await pool.close(timeout=1)


async def _try_again(pool: Pool) -> None:
    """Begin another round of attempts to connect; what connections there are is looked at on the way."""
    await pool.check()


def _reporting(attempted: Attempted) -> type[Connection]:
    """Return the class of a pool's connections: the pool itself only logs that an attempt failed."""

    class ReportingConnection(Connection):
        @classmethod
        async def connect(cls, conninfo: str = "", **options: Any) -> Self:
            try:
                return await super().connect(conninfo, **options)
            except psycopg.OperationalError as error:
                attempted(error)
                raise

    return ReportingConnection


@asynccontextmanager
async def transaction(conn: Connection, access: Access) -> AsyncIterator[None]:
    """Run one transaction under the access's role and limits; they end with it, unless the session has them."""
    async with conn.transaction():
        if not conn.is_entered:
            await session.enter(conn, _limits(access), is_local=True)
        yield


@asynccontextmanager
async def autocommit(conn: Connection, access: Access) -> AsyncIterator[None]:
    """Run one statement, which commits by itself where the session is entered: one round trip instead of four."""
    if conn.is_entered:
        yield
    else:
        async with transaction(conn, access):
            yield


def _limits(access: Access) -> dict[str, object]:
    return {
        "role": access.role,
        "statement_timeout": _milliseconds(access.statement_timeout),
        "lock_timeout": _milliseconds(access.lock_timeout),
        "idle_timeout": _milliseconds(access.idle_timeout),
        "synchronous_commit": access.synchronous_commit,
    }


def _conninfo(conninfo: str, access: Access) -> str:
    return make_conninfo(
        conninfo,
        application_name=access.name,
        # A URL, a role or the environment may say otherwise, and event types come in any script.
        client_encoding="UTF8",
        connect_timeout=str(int(access.connect_timeout.total_seconds())),
        tcp_user_timeout=_milliseconds(access.unacknowledged_timeout),
        **KEEPALIVE,
    )


def _milliseconds(duration: timedelta) -> str:
    return str(int(duration.total_seconds() * 1000))
