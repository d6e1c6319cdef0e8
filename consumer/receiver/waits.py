"""`Prefer: wait=N` (RFC 7240, section 4.3): the sender asks for the answer once the profile is there.

All waits share one poll of the database.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import args_row
from starlette.responses import JSONResponse, Response

from consumer import logs
from consumer.deadline import end
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


class Progress(NamedTuple):
    """How far a delivery has come, as far as one request may know."""

    request_id: UUID
    state: str
    # Another request stored the delivery: error and profile are not for this one.
    is_repeat: bool
    error_code: str | None
    error: str | None
    # None if there is no profile, or not yet.
    profile: dict[str, Any] | None

    @property
    def is_settled(self) -> bool:
        """Whether waiting longer brings nothing more."""
        return self.is_repeat or self.state in {"done", "dead"}


# Returns the progress of a delivery for a request, once it is settled or the time is over; None if it is not known.
WaitFor = Callable[[str, UUID, timedelta], Awaitable[Progress | None]]


async def answer(wait_for: WaitFor, message_id: str, request_id: UUID, asked: int) -> Response:
    """Return 200 with the profile, 204 if the applied delivery leaves none, 202 with the state while it is not applied.

    A dead delivery gets 202 too, because it may be retried one day. So does every repeat: a captured request can be
    sent again with a `Prefer`, which is not signed.
    """
    seconds = min(asked, WAIT_SECONDS_MAX)
    applied = {"preference-applied": f"wait={seconds}"}
    progress = await wait_for(message_id, request_id, timedelta(seconds=seconds))
    if progress is None or progress.is_repeat or progress.state != "done":
        return JSONResponse({"message_id": message_id, **_described(progress)}, 202, applied)
    if progress.profile is None:
        return Response(status_code=204, headers=applied)
    return JSONResponse(progress.profile, 200, applied)


def _described(progress: Progress | None) -> dict[str, object]:
    if progress is None:
        return {"state": "pending"}
    if progress.is_repeat:
        return {"state": progress.state, "repeat": True}
    if progress.error_code is None:
        return {"state": progress.state}
    error = progress.error or ""
    # The error of an unusable body begins with the path of the place.
    path, _, reason = error.partition(": ") if error.startswith("$") else (None, "", error)
    return {"state": progress.state, "error_code": progress.error_code, "path": path, "reason": reason}


def wait_asked_for(headers: Sequence[tuple[bytes, bytes]]) -> int:
    """Return the seconds that the sender asks to wait; 0 without a preference or with a malformed one."""
    preferences = b",".join(value for name, value in headers if name == b"prefer")
    asked = WAIT.search(preferences) if preferences else None
    return int(asked[1]) if asked else 0


@dataclass(slots=True)
class _Waiter:
    message_id: str
    settled: "asyncio.Future[None]"
    progress: Progress | None = None


class Waits:
    """Requests that wait for a stored delivery to be settled; open it with `open_waits`."""

    def __init__(self, pool: Pool, access: Access) -> None:
        self._pool = pool
        self._access = access
        self._waiters: dict[UUID, _Waiter] = {}
        self._changed = asyncio.Event()
        self._is_ended = False

    async def wait_for(self, message_id: str, request_id: UUID, duration: timedelta) -> Progress | None:
        """Wait for a delivery of the application to be settled, no longer than *duration*; return how far it has come.

        None: too many wait, the database did not say, or the process ends.
        """
        if self._is_ended or len(self._waiters) >= WAITS_MAX:
            return None
        waiter = _Waiter(message_id, asyncio.get_running_loop().create_future())
        self._waiters[request_id] = waiter
        self._changed.set()
        try:
            await asyncio.wait({waiter.settled}, timeout=duration.total_seconds())
            return waiter.progress
        finally:
            del self._waiters[request_id]

    def end(self) -> None:
        """Let nobody wait any longer: the process ends, and a delivery in waiting is stored."""
        self._is_ended = True
        for waiter in self._waiters.values():
            if not waiter.settled.done():
                waiter.settled.set_result(None)

    async def _poll(self) -> None:
        """Poll for all awaited deliveries until cancelled."""
        while True:
            await self._changed.wait()
            pause = POLL_SECONDS
            try:
                found = await self._find(
                    {request_id: waiter.message_id for request_id, waiter in self._waiters.items()}
                )
            # Any error, because a poll that ends would leave every later wait without an answer.
            except Exception as error:
                if not isinstance(error, psycopg.Error | OSError):
                    log.exception(logs.TASK_FAILED, extra={"task": "waits"})
                found, pause = [], AWAY_SECONDS
            for progress in found:
                if waiter := self._waiters.get(progress.request_id):
                    waiter.progress = progress
                    if progress.is_settled and not waiter.settled.done():
                        waiter.settled.set_result(None)
            await asyncio.sleep(pause)
            if not self._waiters:
                self._changed.clear()

    async def _find(self, message_ids: Mapping[UUID, str]) -> list[Progress]:
        """Return the progress of deliveries, given by the request that waits for each."""
        pairs = {"message_ids": list(message_ids.values()), "request_ids": list(message_ids)}
        async with self._pool.connection() as conn, autocommit(conn, self._access):
            return await rows(conn, args_row(Progress), "waits/find", pairs)


@asynccontextmanager
async def open_waits(pool: Pool, access: Access) -> AsyncIterator[Waits]:
    """Run a poll that queries the database only while a request waits."""
    waits = Waits(pool, access)
    poll = asyncio.create_task(waits._poll(), name="waits")
    try:
        yield waits
    finally:
        await end(poll)
