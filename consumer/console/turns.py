"""Turns: how many use the database at the same time, and how many of them for one person."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from weakref import WeakValueDictionary

from consumer.errors import ConsumerError


class Unavailable(ConsumerError):
    """The database can't be used for this now."""


class Busy(Unavailable):
    """The console's connections are in use, or the database gives it no more."""


class Turns:
    """Lets *size* work at the same time, and *each* of one person; the others wait in turn, but not beyond *wait*."""

    def __init__(self, size: int, each: int, wait: timedelta) -> None:
        self._all = asyncio.Semaphore(size)
        self._each = each
        self._wait = wait
        self._own: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def take(self, person: str) -> AsyncIterator[None]:
        """Hold a turn; raises Busy if none came in time."""
        own = self._own.setdefault(person, asyncio.Semaphore(self._each))
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(self._wait.total_seconds()):
                    await held.enter_async_context(own)
                    await held.enter_async_context(self._all)
            except TimeoutError as error:
                raise Busy from error
            yield
