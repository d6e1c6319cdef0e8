"""Counts stored deliveries by source and hour, each once; and removes old reports.

Numbers commit out of order: a delivery may appear whose number is smaller than one that was counted before. So the log
is counted until a number only when every transaction that could still bring a smaller one has ended.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import NamedTuple

from psycopg.rows import args_row, class_row

from consumer.outbox import numbers
from consumer.postgres import ledger
from consumer.postgres.connections import Access, Connection, transaction
from consumer.postgres.queries import query, rows

JOB = "hours"
# Deliveries that one transaction counts, as in `prune`: 20 ms, and the rest of a long log waits for the next one.
PAGE_SIZE = 10_000
# The console and `status` show the last hours, and what is usual is the average of them.
REPORTS_KEPT = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class HoursPlace:
    """Until where deliveries are counted; *next* can be counted once none of *writers* is open any more."""

    counted: int
    next: int
    writers: list[str]


class Writer(NamedTuple):
    """An open transaction that may have stored deliveries."""

    writer: str
    is_prepared: bool


async def keep_hours(conn: Connection, access: Access) -> None:
    """Count what has arrived since the last call and is certain to be complete, and remove old reports.

    A transaction counts a page and moves the place, so a repeat counts nothing twice. `consumer.maintenance` must have
    the row of JOB. A transaction that stays open holds back the count of what was stored since it wrote.
    """
    await _count(conn, access)
    async with transaction(conn, access):
        await ledger.begin_work(conn)
        place = await _place(conn)
        if place.counted == place.next:
            # In this order: who stores a number below this one and is not seen afterwards has committed.
            last_seq = await numbers.last(conn)
            writers = [open_now.writer for open_now in await _writers(conn)]
            await _advance(conn, replace(place, next=last_seq, writers=writers))
    await _count(conn, access)
    async with transaction(conn, access):
        await ledger.begin_work(conn)
        await conn.execute(query("hours/remove_reports"), {"kept": REPORTS_KEPT})


async def _count(conn: Connection, access: Access) -> None:
    """Count page by page until the next place, unless a transaction is open that may store before it."""
    while True:
        async with transaction(conn, access):
            await ledger.begin_work(conn)
            place = await _place(conn)
            if place.counted == place.next or await _is_awaited(conn, place):
                return
            page = {"after_seq": place.counted, "until_seq": place.next}
            page["until_seq"] = await numbers.page_end(conn, **page, page_size=PAGE_SIZE)
            await conn.execute(query("hours/fold"), page)
            await _advance(conn, replace(place, counted=page["until_seq"]))


async def _place(conn: Connection) -> HoursPlace:
    [place] = await rows(conn, class_row(HoursPlace), "hours/place", {"job": JOB})
    return place


async def _is_awaited(conn: Connection, place: HoursPlace) -> bool:
    """Tell whether a transaction is still open that wrote when the place was set, or may be one of those."""
    if not place.writers:
        return False
    # A prepared transaction has another name after a restart of the server.
    return any(each.is_prepared or each.writer in place.writers for each in await _writers(conn))


async def _writers(conn: Connection) -> list[Writer]:
    return await rows(conn, args_row(Writer), "hours/writers")


async def _advance(conn: Connection, place: HoursPlace) -> None:
    values = {"job": JOB, "counted": place.counted, "next": place.next, "writers": place.writers}
    await conn.execute(query("hours/advance"), values)
