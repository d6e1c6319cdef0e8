"""Retention: removes old audit rows and superseded deliveries in bounded steps; a kill or a repeat does no harm."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import args_row, scalar_row

from consumer.operations import actions
from consumer.operations.actions import Action
from consumer.postgres import ledger
from consumer.postgres.connections import Access, Connection, transaction
from consumer.postgres.queries import query, rows

# The changes of a busy hour take a transaction of seconds, and workers continue beside it.
STEP = timedelta(hours=1)
# A step with fewer rows is followed by one twice as long, up to a day: a year without rows is passed in seconds.
FEW_ROWS = 100
STEP_MAX = timedelta(days=1)
# Deliveries read, and at most removed, in a transaction: a page of users takes a fraction of a second.
PAGE_SIZE = 10_000
# A user or team with more deliveries that stay than this is compared only in part. Their bodies, parsed, take 400 MB.
PAGE_SIZE_MAX = 8 * PAGE_SIZE
# Users hold what they select and join; then the teams' own events.
SUBJECTS = ("users", "teams")


class Superseded(NamedTuple):
    """The superseded deliveries of the next users or teams, with their types, and the last of these that was looked at.

    *last_id* is None when none is left. *is_cut*: these are only a part of the deliveries of *last_id*.
    """

    seqs: Sequence[int]
    event_types: Sequence[str]
    last_id: UUID | None
    is_cut: bool


@dataclass(frozen=True, slots=True)
class DeliveryPrune:
    """Which deliveries to remove: superseded ones received before *until*.

    A page reads *page_size* deliveries and removes no more; a dry run only counts. The *action*
    counts what is removed; None for a job of `maintain`, which nobody began.
    """

    until: datetime
    is_dry_run: bool = False
    page_size: int = PAGE_SIZE
    action: Action | None = None


async def prune_audit(
    conn: Connection, access: Access, kept: timedelta, step: timedelta = STEP, *, action: Action | None = None
) -> AsyncIterator[int]:
    """Remove audit rows older than *kept*, a step of time in each transaction; yield the number after each commit.

    The first step, and each after one with many rows, is *step*. After a kill a second call goes on at the oldest row.
    """
    is_more, following = True, step
    while is_more:
        async with transaction(conn, access):
            await ledger.begin_work(conn)
            cursor = await conn.execute(query("prune/audit"), {"kept": kept, "step": following}, binary=True)
            [(removed, is_more)] = await cursor.fetchall()
            await _count(conn, action, removed)
        following = min(2 * following, STEP_MAX) if removed < FEW_ROWS else step
        yield removed


async def count_audit(conn: Connection, access: Access, kept: timedelta) -> int:
    """Return how many audit rows `prune_audit` would remove."""
    async with transaction(conn, access):
        [expired] = await rows(conn, scalar_row, "prune/count_audit", {"kept": kept})
    return int(expired)


async def prune_deliveries(conn: Connection, access: Access, wanted: DeliveryPrune) -> AsyncIterator[Counter[str]]:
    """Remove superseded deliveries, page by page; yield the numbers by type after each commit.

    Raises psycopg's InvalidParameterValue for an *until* in the future.
    """
    is_dry_run, page_size = wanted.is_dry_run, wanted.page_size
    for subject in SUBJECTS:
        after: UUID | None = None
        size = page_size
        while True:
            removed_max = size if is_dry_run else page_size
            values = {"until": wanted.until, "after_id": after, "page_size": size, "removed_max": removed_max}
            async with transaction(conn, access):
                await ledger.begin_work(conn)
                page, removed = await _page(conn, subject, values, is_dry_run=is_dry_run)
                await _count(conn, wanted.action, 0 if is_dry_run else removed.total())
            if page.last_id is None:
                break
            if page.is_cut and size < PAGE_SIZE_MAX and (is_dry_run or not removed):
                size *= 2
                continue
            if removed:
                yield removed
            # What is left of a user or team that was cut is compared again with what stays.
            if is_dry_run or not removed or not (page.is_cut or size > page_size):
                after, size = page.last_id, page_size


async def _count(conn: Connection, action: Action | None, removed: int) -> None:
    """Count in the *action*, if there is one, what a transaction removed."""
    if action and removed:
        await actions.record(conn, action, removed)


async def _page(
    conn: Connection, subject: str, values: Mapping[str, object], *, is_dry_run: bool
) -> tuple[Superseded, Counter[str]]:
    """Find a page and remove it, unless it is a dry run; return the page, and what was or would be removed by type."""
    if not is_dry_run:
        await conn.execute(query("prune/begin"), {"until": values["until"]})
    [page] = await rows(conn, args_row(Superseded), f"prune/{subject}", values)
    types = dict(zip(page.seqs, page.event_types, strict=True))
    if is_dry_run or not types:
        return page, Counter(types.values())
    seqs: list[int] = await rows(conn, scalar_row, "prune/lock", {"seqs": list(page.seqs)})
    await conn.execute(query("prune/remove"), {"seqs": seqs})
    return page, Counter(types[seq] for seq in seqs)
