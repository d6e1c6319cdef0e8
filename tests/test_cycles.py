"""Starting and stopping over and over leaves nothing behind: no file, no thread, no connection."""

import asyncio
import threading
from datetime import timedelta

import psutil
import psycopg
from starlette.types import Receive, Scope, Send

from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.postgres.connections import open_pool, receiver_access, worker_access
from consumer.receiver.intake import open_intake
from consumer.web.connection_limits import Limits
from consumer.web.listen import listen
from consumer.web.server import serve
from consumer.worker.batch import BatchRunner
from consumer.worker.loop import Worker
from tests.support.databases import rows
from tests.support.factories import user_updated

CYCLES = 20
RECEIVER, WORKER = receiver_access("consumer"), worker_access("consumer")


def forget(_: object) -> None:
    """Say nothing."""


async def cycle(url: str) -> None:
    """Receive one delivery and apply it, with everything that a receiver and a worker open."""
    metrics = Metrics(EVENT_TYPES)
    loop = Worker(url, BatchRunner(WORKER, metrics, attempts_max=12), forget, poll_max=timedelta(seconds=1))
    async with (
        open_pool(url, RECEIVER, size=3, wait_timeout=timedelta(seconds=2), attempted=forget) as pool,
        open_intake(pool, RECEIVER, metrics.received) as intake,
        serve(unasked, listen("127.0.0.1", 0, "PORT"), Limits(), forget),
    ):
        await intake.put(user_updated())
        working = asyncio.create_task(loop.run())
        async with asyncio.timeout(10):
            while not has_applied(url):  # noqa: ASYNC110  # Only the database knows.
                await asyncio.sleep(0.01)
        loop.stop()
        await working


async def unasked(_: Scope, receive: Receive, send: Send) -> None:
    """Answer nothing."""


def has_applied(url: str) -> bool:
    return not rows(url, "SELECT FROM consumer.pending")


def left(url: str) -> tuple[int, int, int]:
    """Return the open files and threads of this process, and the connections that the server knows of."""
    with psycopg.connect(url) as conn:
        [(connections,)] = conn.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name LIKE 'consumer%'"
        ).fetchall()
    return psutil.Process().num_fds(), threading.active_count(), connections


async def test_starting_and_stopping_leaves_nothing_behind(emptied: str) -> None:
    await cycle(emptied)
    before = left(emptied)

    for _ in range(CYCLES):
        await cycle(emptied)

    # Fewer, if the server had not yet heard of the end of an earlier test's connection.
    assert all(now <= then for now, then in zip(left(emptied), before, strict=True))
    assert rows(emptied, "SELECT count(*) FROM identity.profiles") == [{"count": CYCLES + 1}]
