"""Refreshes the users that were active lately: much of what they change sends no webhook, such as a verified e-mail.

The list begins with the user that was active last, and a sweep reads it until it meets the users of the sweep before.
It goes on in the next poll if many were active, and only its end moves the mark.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid4

from psycopg.rows import class_row, scalar_row

from consumer.operations import imports, runs
from consumer.operations.imports import Finder, PutCounts
from consumer.operations.scan import CLOCKS_DIFFER, millis
from consumer.postgres import ledger, session
from consumer.postgres.connections import Access, Connection, transaction
from consumer.postgres.queries import rows
from consumer.stack_api.client import StackApi
from consumer.stack_api.listing import ListPage
from consumer.sync import REPLICA_LAG

# Two thousand users, in two seconds at the default rate. Where more are active at once, a sweep takes several polls.
PAGES_MAX = 20
LAG_MILLIS = int(REPLICA_LAG.total_seconds() * 1000)
# A replica hides activity of its lag; another one, which answers the next page, places its cursor earlier by as much.
OVERLAP_MILLIS = 2 * LAG_MILLIS


@dataclass(frozen=True, slots=True)
class Sweep:
    """The page at which a sweep is, at *now*, the database's clock; see `consumer.activity` for the rest."""

    mark_millis: int | None
    sweep_id: UUID
    cursor: str | None
    cursor_millis: int | None
    newest_millis: int | None
    now: datetime


async def poll(conn: Connection, access: Access, api: StackApi, project_id: str) -> PutCounts | None:
    """Store what is new of the users that were active since the last sweep; None if the server can't tell who was.

    A page is fetched outside any transaction, and stored with its place in one. Raises ApiError, and BadSettings for
    another project; the next call goes on at that page.
    """
    stored = unusable = 0
    for _ in range(PAGES_MAX):
        async with transaction(conn, access):
            await runs.refuse_other_project(conn, project_id)
            sweep = await _read(conn)
        page = await api.recently_active_users(sweep.cursor)
        if page is None:
            return None
        following = _next(sweep, page)
        async with transaction(conn, access):
            await ledger.begin_work(conn)
            if not await _advance(conn, sweep, following):
                break
            await runs.pin_project(conn, project_id)
            put = await _put(conn, sweep, page)
        stored, unusable = stored + put.stored, unusable + put.unusable
        if following.cursor is None:
            break
    return PutCounts(stored, unusable)


async def _read(conn: Connection) -> Sweep:
    for sweep in await rows(conn, class_row(Sweep), "activity/read"):
        return sweep
    return Sweep(None, uuid4(), None, None, None, await session.now(conn))


async def _advance(conn: Connection, sweep: Sweep, following: Sweep) -> bool:
    """Lock the place until the transaction ends and move it; False if another process has stored this page."""
    values = {
        "mark_millis": following.mark_millis,
        "sweep_id": following.sweep_id,
        "cursor": following.cursor,
        "cursor_millis": following.cursor_millis,
        "newest_millis": following.newest_millis,
        "old_sweep_id": sweep.sweep_id,
        "old_cursor": sweep.cursor,
    }
    return bool(await rows(conn, scalar_row, "activity/advance", values))


async def _put(conn: Connection, sweep: Sweep, page: ListPage) -> PutCounts:
    """Store what is new of a page, a user once a sweep.

    What can't be used is only counted: the same user is listed again a minute later, and would be dead again.
    """
    finder = Finder(sweep.sweep_id, sweep.now, "reconcile")
    found = [finder.user(user.id.lower(), user.body) for user in page.items]
    usable = [delivery for delivery in found if not delivery.error_code]
    put = await imports.put(conn, await imports.news(conn, usable))
    return put._replace(unusable=len(found) - len(usable))


def _next(sweep: Sweep, page: ListPage) -> Sweep:
    """Return where the poll goes on: at the next page, or at the first one of another sweep."""
    times = _times(page)
    first_page = Sweep(sweep.mark_millis, uuid4(), None, None, None, sweep.now)
    if _is_lost(sweep, times):
        return first_page
    newest = max(times, default=None) if sweep.cursor is None else sweep.newest_millis
    # The first sweep of all knows nobody before it: who was active earlier is for a backfill to bring.
    mark = sweep.mark_millis if sweep.mark_millis is not None else newest
    if page.next_cursor is None or mark is None or not times or times[-1] < mark - OVERLAP_MILLIS:
        return replace(first_page, mark_millis=max(filter(None, (mark, newest)), default=None))
    return replace(sweep, cursor=page.next_cursor, cursor_millis=times[-1], newest_millis=newest)


def _is_lost(sweep: Sweep, times: Sequence[int]) -> bool:
    """Tell whether the page may not follow the one before it.

    The cursor's user was deleted: the page is empty. Or a replica that lags does not know its last activity, and begins
    behind an earlier one: that leaves a gap, and only a user that was active within the lag can be placed so.
    """
    if sweep.cursor is None:
        return False
    if not times or sweep.cursor_millis is None:
        return True
    is_recent = sweep.cursor_millis > millis(sweep.now - REPLICA_LAG - CLOCKS_DIFFER)
    return is_recent and times[0] < sweep.cursor_millis - LAG_MILLIS


def _times(page: ListPage) -> list[int]:
    return [user.last_active_at_millis for user in page.items if user.last_active_at_millis is not None]
