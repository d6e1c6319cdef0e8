"""The outbox and its queue under test: filled as the receiver does, and emptied as the worker does."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import psycopg

from consumer.effects.apply import apply
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.operations import rebuild
from consumer.operations.prune import PAGE_SIZE, DeliveryPrune, prune_deliveries
from consumer.operations.replay import Replayed, replay
from consumer.outbox import queue, storage
from consumer.outbox.deliveries import Selection
from consumer.outbox.storage import Delivery
from consumer.postgres import session
from consumer.postgres.connections import (
    Access,
    Connection,
    operator_access,
    receiver_access,
    transaction,
    worker_access,
)
from consumer.worker import rehome
from consumer.worker.batch import BatchRunner, drain
from consumer.worker.rebuild import TriedPage, run_page
from tests.support.acting import action
from tests.support.databases import rows
from tests.support.kept import kept

# Far more batches and pages than any test's deliveries make.
TURNS_MAX = 500
EVERYTHING = Selection(states=("done", "dead"))
# Nobody reads them, and to make them takes as long as a batch.
UNREAD = Metrics(EVENT_TYPES)


async def arrive(database_url: str, *deliveries: Delivery) -> None:
    """Store deliveries as their senders' process does, those with an error code dead."""
    access = storing_access(deliveries)
    async with kept(database_url, access) as conn:
        await put(conn, [delivery for delivery in deliveries if not delivery.error_code])
        async with transaction(conn, access):
            for delivery in deliveries:
                if delivery.error_code:
                    await storage.put_dead(conn, delivery)


async def work(database_url: str) -> int:
    """Apply what is due, as a worker does."""
    access = worker_access("consumer")
    async with kept(database_url, access) as conn:
        return await drain(conn, BatchRunner(access, UNREAD, attempts_max=12))


async def put(conn: Connection, deliveries: Sequence[Delivery]) -> None:
    """Store deliveries as their senders' process does."""
    async with transaction(conn, storing_access(deliveries)):
        await storage.put(conn, deliveries)


def storing_access(deliveries: Sequence[Delivery]) -> Access:
    """Return the access of the receiver if it may store all of these, else that of the operator."""
    is_received = all(delivery.source in {"stack", "app"} and delivery.verified_by for delivery in deliveries)
    return (receiver_access if is_received else operator_access)("consumer")


async def apply_next(conn: Connection, batch_size: int) -> dict[int, str]:
    """Claim and apply one batch as the worker does."""
    async with transaction(conn, worker_access("consumer")):
        due = await queue.claim_retries(conn, batch_size=batch_size)
        claimed = due + await queue.claim(conn, after_seq=0, batch_size=batch_size - len(due))
        return await apply(conn, claimed)


async def rehome_next(conn: Connection, page_size: int = rehome.PAGE_SIZE) -> bool:
    """Re-home one page of users as the worker does; return whether any waited."""
    async with transaction(conn, worker_access("consumer")):
        return await rehome.run_page(conn, lambda _: timedelta(0), page_size) is not None


async def rebuild_next(conn: Connection) -> bool:
    """Make one page of users or companies anew as the worker does; return whether any waited."""
    async with transaction(conn, worker_access("consumer")):
        return await run_page(conn, lambda _: timedelta(0), TriedPage()) is not None


async def settle(conn: Connection, batch_size: int) -> list[int]:
    """Apply batches, re-home and rebuild pages until nothing is due; return the number of deliveries of each batch."""
    counts: list[int] = []
    for _ in range(TURNS_MAX):
        if count := len(await apply_next(conn, batch_size)):
            counts.append(count)
        elif not await rehome_next(conn, batch_size) and not await rebuild_next(conn):
            return counts
    raise AssertionError(f"something is still due after {TURNS_MAX} batches and pages")


async def replayed(database_url: str, selection: Selection = EVERYTHING) -> Replayed:
    """Put deliveries back to pending as `consumer replay` does, and return how many were."""
    access = operator_access("consumer")
    async with kept(database_url, access) as conn:
        batches = [batch async for batch in replay(conn, access, selection, action("replay"))]
    return sum(batches, Replayed(queued=0, unusable=0))


async def rebuild_everything(conn: Connection) -> None:
    """Queue every user and company to be made anew, and drain."""
    async for _ in rebuild.queue_all(conn, operator_access("consumer"), action("rebuild")):
        pass
    await settle(conn, 1)


async def replay_everything(database_url: str, *, batch_size: int) -> None:
    """Queue every delivery again and drain."""
    async with kept(database_url, worker_access("consumer")) as conn:
        async with conn.transaction():
            await conn.execute("DELETE FROM consumer.outcomes")
            await conn.execute("INSERT INTO consumer.pending (seq) SELECT seq FROM consumer.outbox")
        await settle(conn, batch_size)


def set_aside(database_url: str, deliveries: Sequence[Delivery], state: str = "dead", code: str = "23514") -> None:
    """Move pending deliveries to where a worker puts those it could not apply."""
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "WITH taken AS (DELETE FROM consumer.pending WHERE seq IN "
            "(SELECT seq FROM consumer.outbox WHERE message_id = ANY(%s)) RETURNING seq) "
            "INSERT INTO consumer.failures (seq, state, attempts, next_attempt_at, error_code, error) "
            "SELECT seq, %s, 3, CASE WHEN %s = 'retrying' THEN now() + interval '1 hour' END, %s, 'CheckViolation' "
            "FROM taken ORDER BY seq",
            ([delivery.message_id for delivery in deliveries], state, state, code),
        )


def seqs(database_url: str) -> dict[str, int]:
    """Return each delivery's number by its message id."""
    return {row["message_id"]: row["seq"] for row in rows(database_url, "SELECT message_id, seq FROM consumer.outbox")}


def states(database_url: str) -> dict[str, str]:
    """Return each delivery's state by its message id."""
    found = rows(database_url, "SELECT message_id, state FROM consumer.deliveries ORDER BY seq")
    return {row["message_id"]: row["state"] for row in found}


async def pruned(conn: Connection, page_size: int = PAGE_SIZE) -> Counter[str]:
    """Remove every superseded delivery, however young, as `consumer prune` does; return the numbers by type."""
    access = operator_access("consumer")
    async with transaction(conn, access):
        until = await session.now(conn)
    pages = [page async for page in prune_deliveries(conn, access, DeliveryPrune(until, page_size=page_size))]
    return sum(pages, Counter())
