"""Connections, pools and transactions: every one with its role, its limits and its name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from consumer.queries import query

Connection = AsyncConnection[TupleRow]
Pool = AsyncConnectionPool[Connection]

# How long a lost peer goes unnoticed on an idle connection: 30 s, then three probes 5 s apart (reliability: half-open).
KEEPALIVE = {"keepalives_idle": "30", "keepalives_interval": "5", "keepalives_count": "3"}


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
    return await AsyncConnection.connect(_conninfo(conninfo, access), **_CONNECTION)


# No prepared statements: PgBouncer before 1.21 in transaction mode loses them (42P05), and a plan made for the batch at
# hand costs a worker little beside its work.
_CONNECTION: dict[str, Any] = {"autocommit": True, "prepare_threshold": None}


async def is_direct(conn: Connection) -> bool:
    """Tell whether the server itself answered the connect: a pooler in between hands out other backends."""
    cursor = await conn.execute(query("session/backend"))
    return await cursor.fetchone() == (conn.info.backend_pid,)


async def _prepare_if_direct(conn: Connection) -> None:
    """Prepare statements at once, which saves a receiver a fifth of each batch, unless a pooler is in between."""
    if await is_direct(conn):
        conn.prepare_threshold = 0


@asynccontextmanager
async def open_pool(conninfo: str, access: Access, *, size: int, wait_timeout: timedelta) -> AsyncIterator[Pool]:
    """Open a pool of *size* connections; it opens even while the database is away.

    Connections are not checked before they are lent: psycopg_pool pauses a second after each one that fails, and after
    a restart all of them do. A borrower whose connection turns out to be lost drains the pool and asks again.
    """
    pool: Pool = AsyncConnectionPool(
        _conninfo(conninfo, access),
        kwargs=_CONNECTION,
        min_size=size,
        max_size=size,
        timeout=wait_timeout.total_seconds(),
        # The default of 300 s backs off so far that recovery came 18.5 s late.
        reconnect_timeout=5,
        max_waiting=4 * size,
        configure=_prepare_if_direct,
        name=access.name,
        open=False,
    )
    await pool.open(wait=False)
    try:
        yield pool
    finally:
        await pool.close(timeout=1)


@asynccontextmanager
async def transaction(conn: Connection, access: Access) -> AsyncIterator[None]:
    """Run one transaction under the access's role and limits; all of them end with it."""
    async with conn.transaction():
        await conn.execute(
            query("session/enter"),
            {
                "role": access.role,
                "statement_timeout": _milliseconds(access.statement_timeout),
                "lock_timeout": _milliseconds(access.lock_timeout),
                "idle_timeout": _milliseconds(access.idle_timeout),
                "synchronous_commit": access.synchronous_commit,
            },
        )
        yield


async def is_writable(conn: Connection) -> bool:
    """Tell whether this connection can store: false on a standby, or when a failover turned its server read-only."""
    cursor = await conn.execute(query("session/check"))
    return await cursor.fetchone() == (True,)


def _conninfo(conninfo: str, access: Access) -> str:
    return make_conninfo(
        conninfo,
        application_name=access.name,
        connect_timeout=str(int(access.connect_timeout.total_seconds())),
        tcp_user_timeout=_milliseconds(access.unacknowledged_timeout),
        **KEEPALIVE,
    )


def _milliseconds(duration: timedelta) -> str:
    return str(int(duration.total_seconds() * 1000))
