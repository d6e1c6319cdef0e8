"""The console's access to the database: what a viewer reads, and an operator's changes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import psycopg
from psycopg import errors as postgres
from psycopg_pool import PoolTimeout, TooManyRequests

from consumer.deadline import within
from consumer.errors import ConsumerError
from consumer.postgres.connections import (
    Access,
    Attempted,
    Connection,
    Pool,
    RoleRefused,
    connect,
    open_pool,
    transaction,
)
from consumer.postgres.error_classes import ErrorClass, error_class

T = TypeVar("T")

# Pages of people, who read far longer than a query takes, and one sampler.
CONNECTIONS = 4
# While nobody looks. It is what tries to connect again after an outage.
CONNECTIONS_KEPT = 1
# One for what goes on in the background and one for who acts, so that people can't take a small plan's connections.
ACTING_MAX = 2
# A person waits for the page.
CONNECTION_TIMEOUT = timedelta(seconds=2)
# Above the statement's own limit: only a silent connection takes so long.
READ_TIMEOUT = timedelta(seconds=4)
NOT_MIGRATED = (
    postgres.UndefinedTable,
    postgres.UndefinedColumn,
    postgres.UndefinedFunction,
    postgres.InvalidSchemaName,
    RoleRefused,
)


class DatabaseAway(ConsumerError):
    """The database does not answer."""


class NotMigrated(ConsumerError):
    """The database lacks what this release reads."""


class TooSlow(ConsumerError):
    """The question took too long, or waited for a lock, and was given up."""


class ConsoleDatabase:
    """Reads as the viewer over a pool, and acts as the operator; open it with `open_database`."""

    _pool: Pool

    def __init__(self, conninfo: str, viewer: Access, operator: Access, attempted: Attempted) -> None:
        self._conninfo = conninfo
        self._viewer = viewer
        self._operator = operator
        self._attempted = attempted
        self._observer = replace(
            operator,
            name="consumer console",
            statement_timeout=viewer.statement_timeout,
            lock_timeout=viewer.lock_timeout,
            is_read_only=True,
        )
        self._observing: Connection | None = None
        self._turn = asyncio.Lock()
        self._acting = asyncio.Semaphore(ACTING_MAX)
        # The error of the last attempt to connect: while there is one, nobody waits for the next.
        self._refusal: Exception | None = None

    async def read(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Return what *work* reads in one READ ONLY transaction under the viewer's role, which sees no personal data.

        Raises DatabaseAway, NotMigrated or TooSlow.
        """
        with _errors():
            if self._refusal:
                raise self._refusal
            try:
                return await within(READ_TIMEOUT, self._read_once(work))
            except (psycopg.Error, OSError) as error:
                if isinstance(error, PoolTimeout | TooManyRequests) or error_class(error) is not ErrorClass.TRANSIENT:
                    raise self._refusal or error from error
                # The server was started again, or a router forgot the connections: all of the pool's are lost.
                await self._pool.drain()
                return await within(READ_TIMEOUT, self._read_once(work))

    @asynccontextmanager
    async def acting(self) -> AsyncIterator[tuple[Connection, Access]]:
        """Yield a connection for an operator's changes and its access, for `transaction`.

        At most ACTING_MAX at once, others wait. Raises DatabaseAway, NotMigrated, or TooSlow, also after such a wait.
        """
        try:
            await asyncio.wait_for(self._acting.acquire(), READ_TIMEOUT.total_seconds())
        except TimeoutError as error:
            raise TooSlow from error
        try:
            with _errors():
                async with await connect(self._conninfo, self._operator) as conn:
                    yield conn, self._operator
        finally:
            self._acting.release()

    async def observe(self, work: Callable[[Connection, Access], Coroutine[Any, Any, T]]) -> T:
        """Return what *work* reads as the operator: what a verdict needs, and nothing of a person.

        Its connection stays open; one call waits for the other. Raises as `read`.
        """
        with _errors():
            async with self._turn:
                is_new = self._observing is None
                try:
                    return await self._observe_once(work)
                except psycopg.OperationalError as error:
                    if is_new or error_class(error) is not ErrorClass.TRANSIENT:
                        raise
                    # The server was started again since the last look.
                    return await self._observe_once(work)

    async def close(self) -> None:
        """Close the observer's connection without a farewell, which would wait for the server."""
        if self._observing:
            await self._observing.close()
        self._observing = None

    async def _observe_once(self, work: Callable[[Connection, Access], Coroutine[Any, Any, T]]) -> T:
        try:
            if self._observing is None:
                self._observing = await connect(self._conninfo, self._observer)
            return await within(READ_TIMEOUT, work(self._observing, self._observer))
        except Exception:
            await self.close()
            raise

    async def _read_once(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with self._pool.connection() as conn, transaction(conn, self._viewer):
            return await work(conn)

    def _note(self, error: Exception | None) -> None:
        self._refusal = error
        self._attempted(error)


@asynccontextmanager
async def open_database(
    conninfo: str, viewer: Access, operator: Access, attempted: Attempted
) -> AsyncIterator[ConsoleDatabase]:
    """Open the console's access; it opens even while the database is away. *attempted* gets each try to connect."""
    database = ConsoleDatabase(conninfo, viewer, operator, attempted)
    size, timeout = CONNECTIONS_KEPT, CONNECTION_TIMEOUT
    async with open_pool(conninfo, viewer, size=size, wait_timeout=timeout, attempted=database._note) as pool:
        pool.max_waiting = 4 * CONNECTIONS
        await pool.resize(size, CONNECTIONS)
        database._pool = pool
        try:
            yield database
        finally:
            await database.close()


@contextmanager
def _errors() -> Iterator[None]:
    """Turn what PostgreSQL raises into what a page can say."""
    try:
        yield
    except NOT_MIGRATED as error:
        raise NotMigrated from error
    except (postgres.QueryCanceled, postgres.LockNotAvailable) as error:
        raise TooSlow from error
    except (psycopg.OperationalError, OSError) as error:
        raise DatabaseAway from error
