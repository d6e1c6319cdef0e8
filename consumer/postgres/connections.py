"""Connections, pools and transactions, each with its role, its settings, its limits and its name."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, Self

import psycopg
from psycopg import AsyncConnection, IsolationLevel
from psycopg import errors as postgres
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow, scalar_row
from psycopg_pool import AsyncConnectionPool

from consumer.postgres.queries import query, rows
from consumer.postgres.standby import StandbyWait

# Called after each attempt to connect, with its error or None.
Attempted = Callable[[Exception | None], None]


class RoleRefused(postgres.InsufficientPrivilege):
    """A session may not take its role, or the role does not exist."""


class Connection(AsyncConnection[TupleRow]):
    """An autocommit connection; *is_entered*: its whole session has role and settings, not only a transaction."""

    is_entered = False
    standby_wait: StandbyWait

    @classmethod
    async def connect(  # type: ignore[override]  # psycopg reads every other keyword as one of libpq
        cls, conninfo: str = "", *, attempted: Attempted = lambda _: None, **options: Any
    ) -> Self:
        """Connect, and report a failure to *attempted*, because psycopg_pool only logs it."""
        try:
            # No prepared statements: PgBouncer before 1.21 in transaction mode loses them (42P05), and a worker's
            # users/put_profiles took two to three times as long with generic plans.
            conn = await super().connect(conninfo, autocommit=True, prepare_threshold=None, **options)
        except psycopg.OperationalError as error:
            attempted(error)
            raise
        try:
            await conn.set_isolation_level(IsolationLevel.READ_COMMITTED)
            conn.standby_wait = StandbyWait()
            conn.add_notice_handler(conn.standby_wait.note)
            is_read_only = conn.info.parameter_status("default_transaction_read_only") == "on"
            if is_read_only and (await rows(conn, scalar_row, "connections/is_read_only_login"))[0]:
                await conn.set_read_only(False)
        except BaseException:
            await conn.close()
            raise
        return conn


Pool = AsyncConnectionPool[Connection]

# An idle connection whose server vanished is noticed after 30 s and three probes 5 s apart.
KEEPALIVE = {"keepalives": "1", "keepalives_idle": "30", "keepalives_interval": "5", "keepalives_count": "3"}

# The length of a round of attempts to connect, and the time between two and for its end: the default of 300 s is late.
RECONNECT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Access:
    """The name and role of a process in the database, its time limits, and whether it may only read."""

    name: str
    role: str
    connect_timeout: timedelta
    unacknowledged_timeout: timedelta
    statement_timeout: timedelta
    lock_timeout: timedelta
    idle_timeout: timedelta
    is_read_only: bool = False


def receiver_access(role_prefix: str) -> Access:
    """Return the receiver's access; intake.py ends a wait after 1.5 s and a batch after 3 s, and answers within 5 s."""
    return _access("receiver", role_prefix, connect=3, unacknowledged=4, statement=3, lock=2, idle=5)


def worker_access(role_prefix: str) -> Access:
    """Return the worker's access: a vanished worker's rows are free again within 10 s."""
    return _access("worker", role_prefix, connect=5, unacknowledged=10, statement=30, lock=3, idle=10)


def operator_access(role_prefix: str) -> Access:
    """Return the command line's access: statements may take long, but a person waits, so waits for locks may not."""
    return _access("operator", role_prefix, connect=5, unacknowledged=10, statement=600, lock=5, idle=60)


def viewer_access(role_prefix: str) -> Access:
    """Return the access that reads the masked views and nothing else; a page that takes longer is not waited for.

    It has no login of its own: an operator's may take the role.
    """
    return _access("viewer", role_prefix, connect=5, unacknowledged=10, statement=2, lock=1, idle=10, is_read_only=True)


ACCESSES: Mapping[Literal["receiver", "worker", "migrate", "operator"], Callable[[str], Access]] = {
    "receiver": receiver_access,
    "worker": worker_access,
    "operator": operator_access,
}


def _access(duty: str, role_prefix: str, *, is_read_only: bool = False, **seconds: int) -> Access:
    limits = {f"{name}_timeout": timedelta(seconds=limit) for name, limit in seconds.items()}
    return Access(f"consumer {duty}", f"{role_prefix}_{duty}", is_read_only=is_read_only, **limits)


async def connect(conninfo: str, access: Access) -> Connection:
    """Open a connection, which may be idle for long; OperationalError when the server does not answer in time."""
    conn = await Connection.connect(_conninfo(conninfo, access))
    try:
        await conn.execute(query("connections/stay"), {"pid": conn.info.backend_pid})
    except BaseException:
        await conn.close()
        raise
    return conn


async def enter(conn: Connection, access: Access) -> bool:
    """Give the whole session its role and settings and return True, if the server itself answered the connect.

    A pooler lends the session to others. Behind one nothing is changed: each transaction enters by itself.
    """
    if await rows(conn, scalar_row, "connections/backend") == [conn.info.backend_pid]:
        await _take_role_and_settings(conn, access, is_local=False)
        conn.is_entered = True
    return conn.is_entered


def is_pooled(conn: psycopg.Connection[TupleRow]) -> bool:
    """Tell whether a pooler answered the connect: then the next transaction may run in another server process."""
    return conn.execute(query("connections/backend")).fetchall() != [(conn.info.backend_pid,)]


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
            # Statements prepared at once save a receiver a fifth of each batch.
            if await enter(conn, access):
                conn.prepare_threshold = 0
        except psycopg.Error as error:
            attempted(error)
            raise
        attempted(None)

    pool: Pool = AsyncConnectionPool(
        _conninfo(conninfo, access),
        connection_class=Connection,
        kwargs={"attempted": attempted},
        min_size=size,
        max_size=size,
        timeout=wait_timeout.total_seconds(),
        reconnect_timeout=RECONNECT_SECONDS,
        # A check begins another round. Otherwise only a borrower does, and the pool rejects all of them once borrowers
        # that gave up fill its queue: an outage of 40 s never ended (psycopg_pool 3.3.3).
        reconnect_failed=AsyncConnectionPool.check,
        max_waiting=4 * size,
        configure=prepare,
        name=access.name,
        open=False,
    )
    await pool.open(wait=False)
    try:
        yield pool
    finally:
        await pool.close(timeout=RECONNECT_SECONDS)


@asynccontextmanager
async def transaction(conn: Connection, access: Access) -> AsyncIterator[None]:
    """Run one transaction under the access's role and settings; they end with it, unless the whole session has them."""
    async with conn.transaction():
        if not conn.is_entered:
            await _take_role_and_settings(conn, access, is_local=True)
        yield


@asynccontextmanager
async def as_login(conn: Connection, access: Access) -> AsyncIterator[None]:
    """Run one transaction as the login itself, with the access's settings; the session is not entered."""
    async with conn.transaction():
        await conn.execute(query("connections/enter"), _settings(access, role=None, is_local=True))
        yield


@asynccontextmanager
async def autocommit(conn: Connection, access: Access) -> AsyncIterator[None]:
    """Run one statement; in an entered session it commits by itself, in one round trip instead of four."""
    if conn.is_entered:
        yield
    else:
        async with transaction(conn, access):
            yield


async def _take_role_and_settings(conn: Connection, access: Access, *, is_local: bool) -> None:
    is_writable = conn.read_only is False and not access.is_read_only
    values = _settings(access, role=access.role, is_local=is_local, is_writable=is_writable)
    try:
        await conn.execute(query("connections/enter"), values)
    except postgres.InvalidParameterValue as error:
        cure = "ROLE_PREFIX is wrong, or nothing is migrated; `consumer migrate` says which"
        raise RoleRefused(f"The role {access.role} does not exist: {cure}.") from error
    except postgres.InsufficientPrivilege as error:
        raise RoleRefused(f"The login {conn.info.user} may not act as {access.role}: GRANT it the role.") from error


def _settings(access: Access, *, role: str | None, is_local: bool, is_writable: bool = False) -> dict[str, object]:
    return {
        "role": role,
        "statement_timeout": _milliseconds(access.statement_timeout),
        "lock_timeout": _milliseconds(access.lock_timeout),
        "idle_timeout": _milliseconds(access.idle_timeout),
        "is_writable": is_writable,
        "is_read_only": access.is_read_only,
        "is_local": is_local,
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
