"""`Prefer: wait=N` (RFC 7240, section 4.3): the sender asks for the answer once the profile is there.

All waits share one poll of the database.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import args_row
from starlette.responses import JSONResponse, Response

from consumer import logs
from consumer.postgres.connections import Access, Pool, autocommit
from consumer.postgres.queries import rows

# A person waits for the sign-in behind it. `Preference-Applied` reports this limit to a sender that asks for longer.
WAIT_SECONDS_MAX = 5
WAIT = re.compile(rb'(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:$|[,;])', re.IGNORECASE)
# A woken worker applies a delivery within about as long; fifty polls a second are no load.
POLL_SECONDS = 0.02
# The pause while the database is away: no need to hurry, because the awaited deliveries are committed.
AWAY_SECONDS = 0.5
# More simultaneous waits than an application's sign-ins cause; further requests are answered at once as pending.
WAITS_MAX = 256

log = logging.getLogger(__name__)


class Settled(NamedTuple):
    """A delivery that is `done` or `dead`, and its user's profile by column; None if there is no profile."""

    message_id: str
    state: str
    profile: dict[str, Any] | None


# Returns a settled delivery, or None when it is not settled in time.
WaitFor = Callable[[str, timedelta], Awaitable[Settled | None]]


async def answer(wait_for: WaitFor, message_id: str, asked: int) -> Response:
    """Return 200 with the profile, 204 if the applied delivery leaves none, 202 while it is not applied.

    A dead delivery gets 202 too, because it may be retried one day.
    """
    seconds = min(asked, WAIT_SECONDS_MAX)
    applied = {"preference-applied": f"wait={seconds}"}
    settled = await wait_for(message_id, timedelta(seconds=seconds))
    if settled is None or settled.state == "dead":
        return JSONResponse({"message_id": message_id, "state": "dead" if settled else "pending"}, 202, applied)
    if settled.profile is None:
        return Response(status_code=204, headers=applied)
    return JSONResponse(settled.profile, 200, applied)


def wait_asked_for(headers: Sequence[tuple[bytes, bytes]]) -> int:
    """Return the seconds that the sender asks to wait; 0 without a preference or with a malformed one."""
    preferences = b",".join(value for name, value in headers if name == b"prefer")
    asked = WAIT.search(preferences) if preferences else None
    return int(asked[1]) if asked else 0


class Waits:
    """Requests that wait for a stored delivery to be settled; open it with `open_waits`."""

    def __init__(self, pool: Pool, access: Access) -> None:
        self._pool = pool
        self._access = access
        self._waiters: dict[asyncio.Future[Settled | None], str] = {}
        self._changed = asyncio.Event()
        self._is_ended = False

    async def wait_for(self, message_id: str, duration: timedelta) -> Settled | None:
        """Wait for a delivery of the application; return None when it is not settled after *duration*."""
        if self._is_ended or len(self._waiters) >= WAITS_MAX:
            return None
        waiter = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = message_id
        self._changed.set()
        try:
            await asyncio.wait({waiter}, timeout=duration.total_seconds())
            return waiter.result() if waiter.done() else None
        finally:
            del self._waiters[waiter]

    def end(self) -> None:
        """Let nobody wait any longer: the process ends, and a delivery in waiting is stored."""
        self._is_ended = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _poll(self) -> None:
        """Poll for all awaited deliveries until cancelled."""
        while True:
            await self._changed.wait()
            pause = POLL_SECONDS
            try:
                found = await self._find(set(self._waiters.values()))
            # Any error, because a poll that ends would leave every later wait without an answer.
            except Exception as error:
                if not isinstance(error, psycopg.Error | OSError):
                    log.exception(logs.TASK_FAILED, extra={"task": "waits"})
                found, pause = {}, AWAY_SECONDS
            for waiter, message_id in self._waiters.items():
                if message_id in found and not waiter.done():
                    waiter.set_result(found[message_id])
            await asyncio.sleep(pause)
            if not self._waiters:
                self._changed.clear()

    async def _find(self, message_ids: set[str]) -> dict[str, Settled]:
        async with self._pool.connection() as conn, autocommit(conn, self._access):
            found = await rows(conn, args_row(Settled), "waits/find", {"message_ids": list(message_ids)})
        return {settled.message_id: settled for settled in found}


@asynccontextmanager
async def open_waits(pool: Pool, access: Access) -> AsyncIterator[Waits]:
    """Run a poll that queries the database only while a request waits."""
    waits = Waits(pool, access)
    poll = asyncio.create_task(waits._poll(), name="waits")
    try:
        yield waits
    finally:
        poll.cancel()
        await asyncio.gather(poll, return_exceptions=True)
