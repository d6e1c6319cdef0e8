"""Connections, pools and transactions, each with its role, its limits and its name."""

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
    """A connection; *is_entered*: its whole session has the role and limits, not only a transaction."""

    is_entered = False


Pool = AsyncConnectionPool[Connection]
# Called after each attempt to connect, with its error or None.
Attempted = Callable[[Exception | None], None]

# How long a lost peer goes unnoticed on an idle connection: 30 s, then three probes 5 s apart (reliability: half-open).
KEEPALIVE = {"keepalives_idle": "30", "keepalives_interval": "5", "keepalives_count": "3"}

# The length of a pool's round of attempts to connect, and the time between two attempts.
RECONNECT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Access:
    """The name and role of a process in the database, and its time limits."""

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
    """Return the command line's access: statements may take long, but a person waits, so waits for locks may not."""
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


# No prepared statements: PgBouncer before 1.21 in transaction mode loses them (42P05), and planning each batch anew
# costs a worker little beside its work.
_CONNECTION: dict[str, Any] = {"autocommit": True, "prepare_threshold": None}


async def enter(conn: Connection, access: Access) -> bool:
    """Give the whole session its role and limits and return True, if the server itself answered the connect.

    A pooler lends the session to others. Behind one nothing is changed: each transaction enters by itself.
    """
    if await session.backend_pid(conn) == conn.info.backend_pid:
        await session.enter(conn, _limits(access), is_local=False)
        conn.is_entered = True
    return conn.is_entered


@asynccontextmanager
async def open_pool(
    conninfo: str, access: Access, *, size: int, wait_timeout: timedelta, attempted: Attempted = lambda _: None
) -> AsyncIterator[Pool]:
    """Open a pool of *size* connections; it opens even while the database is away. *attempted* gets each try.

    Connections are not checked before they are lent: psycopg_pool pauses a second after each one that fails, and after
    a restart all of them do. A borrower with a lost connection drains the pool and asks again.
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
        # Otherwise only a borrower begins another round, and the pool rejects all of them once borrowers that gave up
        # fill its queue: an outage of 40 s never ended (psycopg_pool 3.3.3).
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
    """Begin another round of attempts to connect; `check` also tests the existing connections."""
    await pool.check()


def _reporting(attempted: Attempted) -> type[Connection]:
    """Return a Connection class that reports each failed connect to *attempted*; psycopg_pool only logs it."""

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
    """Run one transaction under the access's role and limits; these end with it, unless the whole session has them."""
    async with conn.transaction():
        if not conn.is_entered:
            await session.enter(conn, _limits(access), is_local=True)
        yield


@asynccontextmanager
async def autocommit(conn: Connection, access: Access) -> AsyncIterator[None]:
    """Run one statement; in an entered session it commits by itself, in one round trip instead of four."""
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
        # A URL, a role or the environment may set another encoding, and event types may be in any script.
        client_encoding="UTF8",
        connect_timeout=str(int(access.connect_timeout.total_seconds())),
        tcp_user_timeout=_milliseconds(access.unacknowledged_timeout),
        **KEEPALIVE,
    )


def _milliseconds(duration: timedelta) -> str:
    return str(int(duration.total_seconds() * 1000))
