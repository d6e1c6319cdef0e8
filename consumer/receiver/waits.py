"""Following deliveries: who sent one waits until it is applied, and all who wait share one poll."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import args_row

from consumer.postgres.connections import Access, Pool, statement
from consumer.postgres.queries import query

# A worker that is told of a delivery has applied it within about as long; fifty polls a second are no load.
POLL_SECONDS = 0.02
# While the database is away: nobody's answer depends on it, for what is followed is committed.
AWAY_SECONDS = 0.5
# More who wait at once than an application's sign-ins bring; the others are told at once that it is not known yet.
FOLLOWED_MAX = 256


class Followed(NamedTuple):
    """A delivery that is `done` or `dead`, and the profile of whom it concerns by its columns, None without one."""

    message_id: str
    state: str
    profile: dict[str, Any] | None


class Following:
    """Tells what became of stored deliveries; open it with `open_following`."""

    def __init__(self, pool: Pool, access: Access) -> None:
        self._pool = pool
        self._access = access
        self._followed: dict[asyncio.Future[Followed], str] = {}
        self._changed = asyncio.Event()

    async def follow(self, message_id: str, patience: timedelta) -> Followed | None:
        """Return what became of a delivery of the application; None when that is not known after *patience*."""
        if len(self._followed) >= FOLLOWED_MAX:
            return None
        told = asyncio.get_running_loop().create_future()
        self._followed[told] = message_id
        self._changed.set()
        try:
            await asyncio.wait({told}, timeout=patience.total_seconds())
            return told.result() if told.done() else None
        finally:
            del self._followed[told]

    async def _poll(self) -> None:
        """Look after all who are followed, for ever."""
        while True:
            await self._changed.wait()
            pause = POLL_SECONDS
            try:
                found = await self._find(set(self._followed.values()))
            except (psycopg.Error, OSError):
                found, pause = {}, AWAY_SECONDS
            for told, message_id in self._followed.items():
                if message_id in found and not told.done():
                    told.set_result(found[message_id])
            await asyncio.sleep(pause)
            if not self._followed:
                self._changed.clear()

    async def _find(self, message_ids: set[str]) -> dict[str, Followed]:
        async with (
            self._pool.connection() as conn,
            statement(conn, self._access),
            conn.cursor(binary=True, row_factory=args_row(Followed)) as cursor,
        ):
            await cursor.execute(query("waits/find"), {"message_ids": list(message_ids)})
            return {followed.message_id: followed for followed in await cursor.fetchall()}


@asynccontextmanager
async def open_following(pool: Pool, access: Access) -> AsyncIterator[Following]:
    """Run a poll that asks only while somebody waits."""
    following = Following(pool, access)
    poll = asyncio.create_task(following._poll(), name="following")
    try:
        yield following
    finally:
        poll.cancel()
        await asyncio.gather(poll, return_exceptions=True)
