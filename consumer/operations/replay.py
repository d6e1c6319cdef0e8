"""Lets stored deliveries be applied again, beside live traffic; a kill or a repeat does no harm."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from consumer.errors import BadPayload
from consumer.events.check import check, subject
from consumer.operations import actions
from consumer.operations.actions import Action
from consumer.operations.paging import in_pages
from consumer.operations.rebuild import queue_concerned
from consumer.outbox import deliveries
from consumer.outbox.deliveries import BuryReason, Dead, Reread, SelectedDelivery, Selection
from consumer.postgres import session
from consumer.postgres.connections import Access, Connection

# If this release read another user in the body than is stored, it would change the wrong one. Three kinds of deliveries
# are read for the first time: those whose body could not be read when stored, those of a type unknown then, and those
# stored without the user or team of their type.
STORED_OTHERWISE = "stored_otherwise"
UNREADABLE = (None, None, None)
READ_FIRST_TODAY = {"unknown_type", "no_subject"}
# Deliveries that a sample is taken from: one page of them takes some 30 ms.
SPREAD_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Replayed:
    """The result of one transaction: deliveries that are applied again, and those that stay dead as still unusable.

    Of the *queued* ones *rebuilt* were applied before: the rows of their users and companies are made anew.
    """

    queued: int
    unusable: int
    rebuilt: int = 0

    def __add__(self, other: "Replayed") -> "Replayed":
        return Replayed(self.queued + other.queued, self.unusable + other.unusable, self.rebuilt + other.rebuilt)


class Rechecked(NamedTuple):
    """Dead deliveries as this release reads them: what is *reread* differs from what is stored, usable or not."""

    usable: list[int]
    reread: list[Reread]
    unusable: list[BuryReason]


def replay(conn: Connection, access: Access, selection: Selection, action: Action) -> AsyncIterator[Replayed]:
    """Let matching deliveries be applied again, page by page; discarded ones never match.

    Failed ones are put back to pending; dead ones are checked first, and those still unusable stay dead with the new
    reason. Of applied ones the users and companies are queued to be made anew, because a fold adds to rows and never
    takes back. A repeat, or a second call after a kill, ends in the same rows.
    """
    return in_pages(conn, access, selection, partial(_replay, action))


async def _replay(action: Action, conn: Connection, page: Sequence[SelectedDelivery]) -> Replayed:
    replayed = await replay_page(conn, page)
    await actions.record(conn, action, replayed.queued)
    return replayed


async def replay_page(conn: Connection, page: Sequence[SelectedDelivery]) -> Replayed:
    """Let the deliveries of one page be applied again, in the caller's transaction."""
    # What was ignored has changed no row: this release may know its type.
    applied = [delivery for delivery in page if delivery.outcome not in {None, "ignored"}]
    await queue_concerned(conn, applied)
    usable = [delivery.seq for delivery in page if delivery.state != "dead" and delivery not in applied]
    dead = await _recheck(deliveries.lock_dead(conn, [delivery.seq for delivery in page if delivery.state == "dead"]))
    if dead.reread:
        await deliveries.reread(conn, dead.reread)
    if dead.unusable:
        await deliveries.rebury(conn, dead.unusable)
    queued = await deliveries.replay(conn, [*usable, *dead.usable])
    # Idle workers may have backed off to long pauses.
    await session.wake(conn)
    return Replayed(queued + len(applied), len(dead.unusable), len(applied))


async def sample(conn: Connection, selection: Selection, size: int) -> list[int]:
    """Return the numbers of at most *size* matching deliveries, spread evenly over the oldest SPREAD_MAX."""
    found = await deliveries.page(conn, selection, after_seq=0, page_size=SPREAD_MAX)
    size = min(size, len(found))
    return [found[n * len(found) // size].seq for n in range(size)]


async def recheck(conn: Connection, seqs: Sequence[int]) -> Rechecked:
    """Return what a replay would find of the dead ones of these deliveries; it locks and stores nothing."""
    return await _recheck(deliveries.dead(conn, seqs))


async def _recheck(found: AsyncIterator[Dead]) -> Rechecked:
    rechecked = Rechecked([], [], [])
    async for dead in found:
        stored = Reread(dead.seq, dead.event_type, dead.user_id, dead.team_id, dead.reduced)
        read, reason = _read(dead, stored)
        if read != stored:
            rechecked.reread.append(read)
        if reason:
            rechecked.unusable.append(reason)
        else:
            rechecked.usable.append(dead.seq)
    return rechecked


def _read(dead: Dead, stored: Reread) -> tuple[Reread, BuryReason | None]:
    """Return what to store of a dead delivery, and why it stays dead."""
    is_read_first_today = dead.error_code in READ_FIRST_TODAY or stored[1:-1] == UNREADABLE
    try:
        event = check(dead.body, dead.source)
    except BadPayload as error:
        read = Reread(dead.seq, *subject(dead.body), None) if is_read_first_today else stored
        return read, BuryReason(dead.seq, error.code, str(error))
    read = Reread(dead.seq, event.type, event.user_id, event.team_id, event.reduced)
    if is_read_first_today or read[:-1] == stored[:-1]:
        return read, None
    text = "$: The body names another type, user or team than was stored"
    return stored, BuryReason(dead.seq, STORED_OTHERWISE, text)
