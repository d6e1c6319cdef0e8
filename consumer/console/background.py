"""Does the actions that operators order, while this console runs. Several consoles share them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from consumer import logs
from consumer.console.reading import ConsoleDatabase
from consumer.console.turns import Unavailable
from consumer.deadline import end
from consumer.operations import background
from consumer.operations.background import OrderWork
from consumer.postgres.connections import Access, Connection

# While workers apply what the page before put back: a batch takes about as long.
PAUSE_SECONDS_MIN = 0.05
# While nobody works: twice this is how late the next page comes then.
PAUSE_SECONDS_MAX = 2.0
# Nothing is ordered: what another console has left behind begins after this time, or after POLL_MAX_SECONDS if that is
# longer, because a database that sleeps while nobody asks must be left alone.
IDLE_SECONDS = 5.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Background:
    """Goes through the unfinished actions, one page at a time, in turn."""

    database: ConsoleDatabase
    works: Mapping[str, OrderWork]
    idle_seconds: float = IDLE_SECONDS
    _due: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Begin at once with what was ordered."""
        self._due.set()

    async def go_on(self) -> None:
        """Do what is ordered, until cancelled; a page that is cancelled is rolled back."""
        while True:
            try:
                if await self.database.observe(background.is_any):
                    async with self.database.acting_alone() as (conn, access):
                        await self._finish_all(conn, access)
            except Unavailable:
                pass
            # A bug of ours.
            except Exception:
                log.exception(logs.TASK_FAILED, extra={"task": "background actions"})
            with suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), self.idle_seconds)
            self._due.clear()

    async def _finish_all(self, conn: Connection, access: Access) -> None:
        pause = PAUSE_SECONDS_MIN
        while True:
            if await background.run_once(conn, access, self.works):
                pause = PAUSE_SECONDS_MIN
            elif await background.is_any(conn, access):
                await asyncio.sleep(pause)
                pause = min(2 * pause, PAUSE_SECONDS_MAX)
            else:
                return


@asynccontextmanager
async def going_on(actions: Background) -> AsyncIterator[None]:
    """Do what is ordered while the block runs."""
    running = asyncio.create_task(actions.go_on(), name="background actions")
    try:
        yield
    finally:
        await end(running)
