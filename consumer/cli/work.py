"""`consumer work`: the worker, one process that applies stored deliveries."""

import asyncio
import logging
import time
from datetime import timedelta
from functools import partial

import click

from consumer import logs
from consumer.cli.context import database, embedded_option, examples, pass_settings
from consumer.errors import ConsumerError
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.postgres.connections import Connection, connect, worker_access
from consumer.process.ops import read_tables, serve_ops
from consumer.process.outage import Outage
from consumer.process.readiness import Readiness, not_ready_reason
from consumer.process.signals import first_of, run, supervised_option
from consumer.settings.settings import Settings
from consumer.worker.batch import BatchRunner, drain
from consumer.worker.loop import Worker

# How much longer than its longest idle pause a loop's turn may take: a full batch on a slow disk stays below, a lost
# database does not.
TURN_SECONDS_MAX = 15.0

log = logging.getLogger(__name__)


@click.command(name="work", epilog=examples("work", "work --drain"))
@click.option("--drain", "is_draining", is_flag=True, help="Return as soon as no delivery is due.")
@embedded_option
@supervised_option
@pass_settings("worker")
def command(settings: Settings, *, is_draining: bool, is_embedded: bool, is_supervised: bool) -> None:
    """Run the worker.

    It applies stored deliveries. It waits while the database is away or a migration is missing.
    """
    metrics = Metrics(EVENT_TYPES)
    runner = BatchRunner(
        worker_access(settings.role_prefix),
        metrics,
        attempts_max=settings.max_attempts,
        projection_sql=settings.projection_sql,
    )
    work = partial(_drain, settings) if is_draining else partial(_work, settings, metrics)
    with database(settings, "worker", is_embedded=is_embedded) as conninfo:
        run(partial(work, conninfo, runner), is_supervised=is_supervised)


async def _work(settings: Settings, metrics: Metrics, conninfo: str, runner: BatchRunner, stop: asyncio.Event) -> None:
    outage = Outage("worker", conninfo)
    worker = Worker(conninfo, runner, outage.record, poll_max=timedelta(seconds=settings.poll_max_seconds))
    readiness = Readiness(outage)

    async def probe() -> str | None:
        return (
            readiness.reason
            or outage.reason
            or worker.trouble
            or _stall_reason(worker.turned_at, settings.poll_max_seconds + TURN_SECONDS_MAX)
        )

    async with serve_ops(settings, probe, metrics, partial(read_tables, conninfo, runner.access)):
        await first_of(stop, readiness.wait(conninfo, runner.access, settings.shaping))
        if stop.is_set():
            return
        log.info(logs.WORKER_STARTED)
        stopping = asyncio.create_task(_pass_on(stop, worker))
        await worker.run()
        stopping.cancel()
    log.info(logs.WORKER_STOPPED)


async def _drain(settings: Settings, conninfo: str, runner: BatchRunner, stop: asyncio.Event) -> None:
    """Apply until no delivery is due; unlike the loop, stop at the first error."""
    if reason := await not_ready_reason(conninfo, runner.access, settings.shaping):
        raise ConsumerError(f"Nothing was applied: {reason}.")
    async with await connect(conninfo, runner.access) as conn:
        await first_of(stop, _drain_all(conn, runner))


async def _drain_all(conn: Connection, runner: BatchRunner) -> None:
    deliveries = await drain(conn, runner)
    log.info(logs.WORKER_DRAINED, extra={"deliveries": deliveries})


async def _pass_on(stop: asyncio.Event, worker: Worker) -> None:
    await stop.wait()
    worker.stop()


def _stall_reason(turned_at: float, seconds_max: float) -> str | None:
    """Return why the worker is not ready: its loop has not turned for too long."""
    seconds = time.monotonic() - turned_at
    return None if seconds <= seconds_max else "the worker's loop does not turn: see its log"
