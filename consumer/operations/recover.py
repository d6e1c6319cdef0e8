"""Brings deliveries in that Svix still holds, once or as they come: what Stack sent and no receiver stored."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import psycopg
from psycopg.rows import scalar_row

from consumer.operations import actions, imports, runs
from consumer.operations.actions import Action
from consumer.outbox.storage import Delivery
from consumer.postgres import ledger
from consumer.postgres.connections import Access, Connection, transaction
from consumer.postgres.queries import rows
from consumer.providers.stack.message_ids import occurred_at
from consumer.stack_api.errors import TemporaryFailure
from consumer.stack_api.svix import SvixApi
from consumer.stack_api.svix_answers import ExpiredMessage, MessagesPage, SvixMessage

SOURCE = "stack"
# Somebody waits in front of a screen for the change that was just made; it is a twentieth of the default STACK_API_RPS.
POLL_SECONDS = 2.0
# A poll finds few messages beside those of the last minute, and each comes with its body.
POLL_PAGE_LIMIT = 20
# A message may appear in the list after one that is a little newer, because several servers of Svix make the ids.
OVERLAP = timedelta(minutes=1)
# Between two attempts in an outage, and to a laptop that wakes up.
OUTAGE_SECONDS_MAX = 60.0

Opened = Callable[[], AbstractAsyncContextManager[tuple[Connection, SvixApi]]]


class RecoveredPage(NamedTuple):
    """A page of Svix's messages; *lost* are those that were never stored here and whose payload is kept no more."""

    new: Sequence[Delivery]
    known: Sequence[Delivery]
    lost: Sequence[ExpiredMessage]
    newest: datetime | None
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Recovery:
    """Stores messages as a receiver with this *tolerance* would have, but unsigned; a dry one stores nothing.

    The *action* counts them; None for a job of `maintain`, which nobody began.
    """

    access: Access
    project_id: str
    tolerance: timedelta
    is_dry_run: bool = False
    action: Action | None = None

    async def pages(
        self, conn: Connection, svix: SvixApi, since: datetime, page_limit: int | None = None
    ) -> AsyncIterator[RecoveredPage]:
        """Yield each page of messages from *since* on, newest first, once what is new in it is stored.

        Each page is stored in a transaction of its own. What is stored already, signed or recovered, is a repeat, so a
        second call after a kill doubles nothing. Raises ApiError, and BadSettings for another project.
        """
        async for page in svix.messages(since, page_limit=page_limit):
            yield await self._taken(conn, page)

    async def _taken(self, conn: Connection, page: MessagesPage) -> RecoveredPage:
        found = [self._delivery(message) for message in page.messages]
        message_ids = [message.id for message in page.messages] + [message.id for message in page.expired]
        async with transaction(conn, self.access):
            await runs.refuse_other_project(conn, self.project_id)
            known = set(await rows(conn, scalar_row, "recover/known", {"message_ids": message_ids}))
        new = [delivery for delivery in found if delivery.message_id not in known]
        if new and not self.is_dry_run:
            await self._store(conn, new)
        return RecoveredPage(
            new,
            [delivery for delivery in found if delivery.message_id in known],
            [message for message in page.expired if message.id not in known],
            page.newest,
            page.oldest,
        )

    async def _store(self, conn: Connection, new: Sequence[Delivery]) -> None:
        async with transaction(conn, self.access):
            await ledger.begin_work(conn)
            await runs.pin_project(conn, self.project_id)
            put = await imports.put(conn, new)
            if self.action:
                await actions.record(conn, self.action, put.stored)

    def _delivery(self, message: SvixMessage) -> Delivery:
        at = occurred_at(message.id, message.at, self.tolerance)
        return imports.checked(SOURCE, message.id, at, message.payload)


async def follow(
    recovery: Recovery,
    opened: Opened,
    since: datetime,
    told: Callable[[Exception | None], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[RecoveredPage]:
    """Yield pages as messages come, without an end.

    *told* gets each failure of the network or the database, which the next poll may cure, and None after each poll. The
    first poll must succeed. All other errors end it.
    """
    seconds, is_reached = POLL_SECONDS, False
    while True:
        try:
            async with opened() as (conn, svix):
                while True:
                    newest = since
                    async for page in recovery.pages(conn, svix, since, POLL_PAGE_LIMIT):
                        newest = max(newest, page.newest or newest)
                        # The last minute is listed by each poll.
                        yield page._replace(known=(), lost=()) if is_reached else page
                    told(None)
                    # Only after a whole walk: a poll that breaks off has left older messages out.
                    seconds, is_reached, since = POLL_SECONDS, True, max(since, newest - OVERLAP)
                    await sleep(seconds)
        except (TemporaryFailure, psycopg.OperationalError) as error:
            if not is_reached:
                raise
            told(error)
            seconds = min(2 * seconds, OUTAGE_SECONDS_MAX)
            asked = error.retry_after_seconds if isinstance(error, TemporaryFailure) else None
        await sleep(max(seconds, asked or 0.0))
