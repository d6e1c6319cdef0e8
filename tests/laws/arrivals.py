"""How the deliveries of a history arrive: its steps, the batches that follow from them, and both in a database."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Literal, NamedTuple

from psycopg.pq import TransactionStatus

from consumer.outbox import storage
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import Connection, connect, enter, operator_access, worker_access
from tests.laws.histories import History
from tests.support.databases import record
from tests.support.kept import kept
from tests.support.outbox import apply_next, put, rehome_next, settle

WORKER = worker_access("consumer")
# A session whose transaction stays open while batches are applied; it may store what any source sends.
LATE = replace(operator_access("consumer"), idle_timeout=timedelta(minutes=1))


class Step(NamedTuple):
    """One step: what is put, the size of a batch or page, and the time zone of the worker's session."""

    action: Literal["put", "put late", "commit late", "apply", "rehome", "settle"]
    deliveries: Sequence[Delivery] = ()
    size: int = 0
    zone: str = "UTC"


def steps(history: History) -> Iterator[Step]:
    """Yield the arrivals one by one; now and then apply a batch of the next size or re-home a page, at the end all."""
    first, size, delay = history.late or (0, 0, 0)
    sizes, zones = history.batch_sizes, history.zones
    uncommitted: set[int] = set()
    for n, index in enumerate(history.arrivals):
        is_late = first <= n < first + size
        # A repeat would wait for the transaction that stores the same delivery.
        if uncommitted and not is_late and (n >= first + size + delay or index in uncommitted):
            yield Step("commit late")
            uncommitted.clear()
        if is_late:
            uncommitted.add(index)
        yield Step("put late" if is_late else "put", [history.deliveries[index]])
        if n % 2:
            yield Step("apply", size=sizes[n % len(sizes)], zone=zones[n // 2 % len(zones)])
        if n % 4 == 3:
            yield Step("rehome", size=sizes[0])
    if uncommitted:
        yield Step("commit late")
    yield Step("settle", size=sizes[-1], zone=zones[len(history.arrivals) // 2 % len(zones)])


def batches(history: History) -> list[list[Delivery]]:
    """Return what each batch applies."""
    found: list[list[Delivery]] = []
    # In the order of their numbers, which deliveries have before they are committed.
    numbered: list[Delivery] = []
    hidden: set[Delivery] = set()
    for step in steps(history):
        new = [delivery for delivery in step.deliveries if delivery not in numbered]
        numbered += new
        hidden |= set(new if step.action == "put late" else ())
        if step.action == "commit late":
            hidden.clear()
        applied = {delivery for batch in found for delivery in batch}
        due = [delivery for delivery in numbered if delivery not in hidden | applied]
        if step.action == "apply":
            found.append(due[: step.size])
        elif step.action == "settle":
            found += [due[n : n + step.size] for n in range(0, len(due), step.size)]
    return found


async def _nothing() -> None:
    """Do nothing between two steps."""


async def arrive(database_url: str, history: History, between: Callable[[], Awaitable[None]] = _nothing) -> None:
    """Store and apply a history, with *between* after each step.

    AssertionError if a batch applies another number of deliveries than `batches` says.
    """
    await record(database_url, history.projection)
    counts = []
    async with kept(database_url, WORKER) as conn, _late(database_url, history) as late:
        zone = str(conn.info.timezone)
        for step in steps(history):
            counts += await _take(step, conn, late)
            await between()
        await _move(conn, zone)
    assert counts == [len(batch) for batch in batches(history)]


@asynccontextmanager
async def _late(database_url: str, history: History) -> AsyncIterator[Connection | None]:
    """Yield the session that commits late, if a history has one."""
    if not history.late:
        yield None
        return
    async with await connect(database_url, LATE) as conn:
        await enter(conn, LATE)
        yield conn


async def _take(step: Step, conn: Connection, late: Connection | None) -> list[int]:
    """Take one step; return the number of deliveries of each batch."""
    match step.action:
        case "put":
            await put(conn, step.deliveries)
        case "put late":
            assert late
            if late.info.transaction_status is TransactionStatus.IDLE:
                await late.execute("BEGIN")
            await storage.put(late, step.deliveries)
        case "commit late":
            assert late
            await late.execute("COMMIT")
        case "apply":
            await _move(conn, step.zone)
            return [len(await apply_next(conn, step.size))]
        case "rehome":
            await rehome_next(conn, step.size)
        case "settle":
            await _move(conn, step.zone)
            return await settle(conn, step.size)
    return []


async def _move(conn: Connection, zone: str) -> None:
    if str(conn.info.timezone) != zone:
        await conn.execute("SELECT set_config('TimeZone', %s, FALSE)", [zone])
