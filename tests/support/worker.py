"""A worker of a test's own, turn by turn."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import Access, connect, worker_access
from consumer.worker.batch import Batch, BatchRunner, drain
from tests.support.databases import rows
from tests.support.outbox import put

PATIENT = worker_access("consumer")
ACCESS = replace(PATIENT, lock_timeout=timedelta(milliseconds=100))


def worker(batch_size: int = 500, attempts_max: int = 12, access: Access = ACCESS) -> BatchRunner:
    return BatchRunner(access, Metrics(EVENT_TYPES), attempts_max=attempts_max, batch_size=batch_size)


async def stored(url: str, deliveries: Sequence[Delivery]) -> None:
    async with await connect(url, ACCESS) as conn:
        await put(conn, deliveries)


async def run_once(url: str, subject: BatchRunner) -> Batch:
    async with await connect(url, ACCESS) as conn:
        return await subject.run_once(conn)


async def drain_all(url: str, subject: BatchRunner) -> int:
    async with await connect(url, ACCESS) as conn:
        return await drain(conn, subject)


def deliveries(url: str, columns: str = "state, outcome, attempts, error_code") -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in rows(url, f"SELECT {columns} FROM consumer.deliveries ORDER BY seq")]
