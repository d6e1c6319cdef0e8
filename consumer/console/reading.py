"""The console's access to the database: what a viewer reads, and an operator's changes."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import psycopg
from psycopg import errors as postgres
from psycopg_pool import PoolTimeout, TooManyRequests

from consumer.console.turns import Busy, Turns, Unavailable
from consumer.deadline import within
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

# Pages that read at the same time; the sampler and the background have a connection each of their own.
READERS_MAX = 3
# So that no one person keeps the others from reading.
READERS_EACH_MAX = 2
# While nobody looks. It is what tries to connect again after an outage.
CONNECTIONS_KEPT = 1
# Who acts, counts included, so that people can't take a small plan's connections.
ACTING_MAX = 3
# Pages that count what an action would take, which may last seconds: a click, done in milliseconds, finds one free.
COUNTING_MAX = 2
# On its way from one who read to the next a connection is neither lent nor available. An attempt to connect follows in
# any outage, so that is told so much later.
PASSED_ON_SECONDS = 1.0
# A person waits for the page.
CONNECTION_TIMEOUT = timedelta(seconds=2)
# Above the statement's own limit: a silent connection takes so long, or a page of many slow statements.
READ_TIMEOUT = timedelta(seconds=4)
# Longer than a count is let run (`confirm.COUNT_TIME`), so that who comes after COUNTING_MAX others has a turn.
COUNT_WAIT = timedelta(seconds=6)
# A failed connect has no SQLSTATE, only these words; in another language the server counts as away.
FULL = re.compile(r"FATAL: .*(too many (connections|clients)|connection slots|no more connections)")
FULL_POOL = (PoolTimeout, TooManyRequests)
NOT_MIGRATED = (
    postgres.UndefinedTable,
    postgres.UndefinedColumn,
    postgres.UndefinedFunction,
    postgres.InvalidSchemaName,
    RoleRefused,
)


class DatabaseAway(Unavailable):
    """The database does not answer."""


class NotMigrated(Unavailable):
    """The database lacks what this release reads."""


class TooSlow(Unavailable):
    """The question took too long, or waited for a lock, and was given up."""


class ConsoleDatabase:
    """Reads as the viewer over a pool, and acts as the operator; open it with `open_database`.

    The sampler and the background have a connection each, so that neither waits for people, nor people for them. The
    background connects while something is ordered, and finds that out over the sampler's.
    """

    _pool: Pool

    def __init__(self, conninfo: str, viewer: Access, operator: Access, attempted: Attempted) -> None:
        self._conninfo = conninfo
        self._viewer = viewer
        self._operator = operator
        self._attempted = attempted
        # Of the pool's connections, those that read, and when the last one had read.
        self._lent, self._returned_at = 0, float("-inf")
        # What people wait for takes no longer than what a viewer reads.
        self._observer = replace(viewer, name="consumer console", role=operator.role)
        self._observing: Connection | None = None
        self._turn = asyncio.Lock()
        self._reading = Turns(READERS_MAX, READERS_EACH_MAX, CONNECTION_TIMEOUT)
        self._acting = Turns(ACTING_MAX, ACTING_MAX, READ_TIMEOUT)
        self._counting = Turns(COUNTING_MAX, 1, COUNT_WAIT)

    async def read(self, work: Callable[[Connection], Awaitable[T]], person: str = "") -> T:
        """Return what *work* reads in one READ ONLY transaction under the viewer's role, which sees no personal data.

        Raises Unavailable.
        """
        with _errors():
            async with self._reading.take(person):
                try:
                    return await within(READ_TIMEOUT, self._read_once(work))
                except FULL_POOL:
                    raise
                except (psycopg.Error, OSError) as error:
                    if error_class(error) is not ErrorClass.TRANSIENT:
                        raise
                    # The server was started again, or a router forgot the connections: all of the pool's are lost.
                    await self._pool.drain()
                    if isinstance(error, TimeoutError):
                        raise TooSlow from error
                    return await within(READ_TIMEOUT, self._read_once(work))

    @asynccontextmanager
    async def acting(self, person: str) -> AsyncIterator[tuple[Connection, Access]]:
        """Yield a connection for an operator's changes and its access, for `transaction`.

        At most ACTING_MAX at once, others wait. Raises Unavailable.
        """
        async with self._acting.take(person), self.acting_alone() as connected:
            yield connected

    @asynccontextmanager
    async def counting(self, person: str) -> AsyncIterator[tuple[Connection, Access]]:
        """Yield the same as `acting` for what may take seconds; one of a person, and COUNTING_MAX, at the same time."""
        async with self._counting.take(person), self.acting(person) as (conn, access):
            yield conn, replace(access, lock_timeout=self._viewer.lock_timeout)

    @asynccontextmanager
    async def acting_alone(self) -> AsyncIterator[tuple[Connection, Access]]:
        """Yield the same as `acting` to what goes on in the background, beside the people who act."""
        with _errors():
            async with await connect(self._conninfo, self._operator) as conn:
                yield conn, self._operator

    async def observe(self, work: Callable[[Connection, Access], Coroutine[Any, Any, T]]) -> T:
        """Return what *work* reads as the operator: what a verdict needs, and nothing of a person.

        Its connection stays open; the sampler and the background share it, and one call waits for the other. Raises
        Unavailable.
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

    async def observe_masked(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Return the same as `read` over the sampler's connection."""

        async def masked(conn: Connection, _: Access) -> T:
            async with transaction(conn, self._viewer):
                return await work(conn)

        return await self.observe(masked)

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
        async with self._pool.connection() as conn:
            self._lent += 1
            try:
                async with transaction(conn, self._viewer):
                    return await work(conn)
            finally:
                self._lent, self._returned_at = self._lent - 1, time.monotonic()

    def _note(self, error: Exception | None) -> None:
        # One connection more that can't be had is no outage.
        is_passed_on = time.monotonic() - self._returned_at < PASSED_ON_SECONDS
        if error is None or not (self._lent or is_passed_on or self._pool.get_stats()["pool_available"]):
            self._attempted(error)


@asynccontextmanager
async def open_database(
    conninfo: str, viewer: Access, operator: Access, attempted: Attempted
) -> AsyncIterator[ConsoleDatabase]:
    """Open the console's access; it opens even while the database is away. *attempted* gets each try to connect."""
    database = ConsoleDatabase(conninfo, viewer, operator, attempted)
    size, timeout = CONNECTIONS_KEPT, CONNECTION_TIMEOUT
    async with open_pool(conninfo, viewer, size=size, wait_timeout=timeout, attempted=database._note) as pool:
        database._pool = pool
        await pool.resize(size, READERS_MAX)
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
    except FULL_POOL as error:
        raise Busy from error
    except (psycopg.OperationalError, OSError) as error:
        raise (Busy if FULL.search(str(error)) else DatabaseAway) from error
