"""Exclusions: deliveries that count no more, and those that count again. Both are facts with a person and a reason."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import scalar_row, tuple_row

from consumer.operations import actions, replay
from consumer.operations.actions import Action
from consumer.operations.paging import in_pages
from consumer.operations.rebuild import queue_concerned
from consumer.operations.replay import Replayed
from consumer.outbox.deliveries import SelectedDelivery, Selection
from consumer.postgres import session
from consumer.postgres.connections import Access, Connection
from consumer.postgres.queries import rows

DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided, and why. Without *by* the database login is recorded."""

    by: str | None
    reason: str


class Excluded(NamedTuple):
    """How many deliveries were excluded, and how many left out, because another session held them at that moment.

    *user_ids*: the users to refresh, as a prune may have removed what the excluded ones superseded.
    """

    deliveries: int
    left_out: int
    user_ids: frozenset[UUID]


def exclude(
    conn: Connection, access: Access, selection: Selection, decision: Decision, action: Action
) -> AsyncIterator[Excluded]:
    """Exclude the matching deliveries for good, page by page; yield the result after each page's commit.

    Those that a worker applies at this moment are left out, and counted. An excluded delivery never comes back, not
    even if its sender repeats it. The users and companies of those that were applied are queued to be made anew without
    them.
    """
    work = partial(_exclude, decision, action, selection.states)
    return in_pages(conn, access, selection, work)


def take_back(
    conn: Connection, access: Access, selection: Selection, decision: Decision, action: Action
) -> AsyncIterator[Replayed]:
    """Let the matching excluded deliveries count again, page by page: they are checked and put back to pending.

    Those that this release can't use are dead, with the reason.
    """
    return in_pages(conn, access, selection, partial(_take_back, decision, action))


async def exclude_page(
    conn: Connection, page: Sequence[SelectedDelivery], states: Sequence[str], decision: Decision
) -> Excluded:
    """Exclude the deliveries of one page that are still in one of these states, in the caller's transaction."""
    values = {
        "seqs": [delivery.seq for delivery in page],
        "states": list(states),
        "excluded_by": decision.by,
        "reason": decision.reason,
    }
    became: dict[int, str] = dict(await rows(conn, tuple_row, "exclusions/exclude", values))
    undone = [delivery for delivery in page if became.get(delivery.seq) == "undone"]
    await queue_concerned(conn, undone)
    await session.wake(conn)
    is_pruned = await rows(conn, scalar_row, "exclusions/is_log_pruned") == [True]
    users = frozenset(delivery.user_id for delivery in undone if delivery.user_id)
    left_out = list(became.values()).count("left_out")
    return Excluded(len(became) - left_out, left_out, users if is_pruned else frozenset())


async def take_back_page(conn: Connection, page: Sequence[SelectedDelivery], decision: Decision) -> Replayed:
    """Let the excluded deliveries of one page count again, in the caller's transaction."""
    values = {
        "seqs": [delivery.seq for delivery in page],
        "taken_back_by": decision.by,
        "reason": decision.reason,
    }
    opened = await rows(conn, scalar_row, "exclusions/take_back", values)
    return await replay.replay_page(conn, [SelectedDelivery(seq, DEAD) for seq in opened])


async def _exclude(
    decision: Decision, action: Action, states: Sequence[str], conn: Connection, page: Sequence[SelectedDelivery]
) -> Excluded:
    excluded = await exclude_page(conn, page, states, decision)
    await actions.record(conn, action, excluded.deliveries)
    return excluded


async def _take_back(
    decision: Decision, action: Action, conn: Connection, page: Sequence[SelectedDelivery]
) -> Replayed:
    taken = await take_back_page(conn, page, decision)
    await actions.record(conn, action, taken.queued + taken.unusable)
    return taken
